//! The server's end: folders that clients have lent.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::FileType;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::loan::HANDLE_DIGITS;
use crate::socket::reachable;

/// Folders lent at once; a client has one or two.
const LENT_MAX: usize = 256;
/// How long a client may take to pass its folder.
const PATIENCE: Duration = Duration::from_secs(5);
/// After an error that goes on, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Table = Arc<Mutex<HashMap<String, Arc<OwnedFd>>>>;

/// The folders that are lent now; cheap to clone. The default has none, ever.
#[derive(Debug, Clone, Default)]
pub struct Folders {
    table: Table,
    _listener: Option<Arc<Listener>>,
}

/// Ends with the last [`Folders`].
#[derive(Debug)]
struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Folders {
    /// Listens at a socket, in place of what an earlier process left there: the caller owns its folder. Needs a tokio
    /// runtime.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn listen(socket: &Path) -> io::Result<Self> {
        match fs::remove_file(socket) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let (path, _held) = reachable(socket)?;
        let listener = UnixListener::bind(path)?;
        let table = Table::default();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&table)));
        Ok(Self {
            table,
            _listener: Some(Arc::new(Listener(accepting))),
        })
    }

    /// A folder that is lent, for as long as the answer is held.
    #[must_use]
    pub fn get(&self, handle: &str) -> Option<Arc<OwnedFd>> {
        lock(&self.table).get(handle).cloned()
    }
}

fn lock(table: &Table) -> MutexGuard<'_, HashMap<String, Arc<OwnedFd>>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: UnixListener, table: Table) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let table = Arc::clone(&table);
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, table).await {
                        tracing::debug!(%error, "a folder was not lent");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the socket for lent folders fails");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Takes one folder, answers its handle and keeps it until the client goes.
async fn serve(mut stream: UnixStream, table: Table) -> io::Result<()> {
    if stream.peer_cred()?.uid() != rustix::process::geteuid().as_raw() {
        return Err(ErrorKind::PermissionDenied.into());
    }
    let folder = tokio::time::timeout(PATIENCE, receive(&stream)).await??;
    let stat = rustix::fs::fstat(&folder)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(ErrorKind::NotADirectory.into());
    }
    let lent = Lent::enter(table, folder)?;
    stream.write_all(lent.handle.as_bytes()).await?;
    // There is nothing more to say; this ends when the client closes its end.
    let mut ignored = [0; 64];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

async fn receive(stream: &UnixStream) -> io::Result<OwnedFd> {
    loop {
        stream.readable().await?;
        match stream.try_io(Interest::READABLE, || receive_now(stream)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            received => return received,
        }
    }
}

fn receive_now(stream: &UnixStream) -> io::Result<OwnedFd> {
    let mut byte = [0; 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut byte)];
    recvmsg(
        stream.as_fd(),
        &mut parts,
        &mut control,
        RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
    )?;
    // More than one would not have fitted; the kernel closes what does not.
    let descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let first = descriptors.flatten().next();
    first.ok_or_else(|| ErrorKind::InvalidData.into())
}

/// A folder in the table until this is dropped.
struct Lent {
    table: Table,
    handle: String,
}

impl Lent {
    fn enter(table: Table, folder: OwnedFd) -> io::Result<Self> {
        let handle = random_handle()?;
        {
            let mut lent = lock(&table);
            if lent.len() >= LENT_MAX {
                return Err(ErrorKind::QuotaExceeded.into());
            }
            lent.insert(handle.clone(), Arc::new(folder));
        }
        Ok(Self { table, handle })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        lock(&self.table).remove(&self.handle);
    }
}

fn random_handle() -> io::Result<String> {
    let mut random = [0; HANDLE_DIGITS / 2];
    let filled = getrandom(&mut random, GetRandomFlags::empty())?;
    // Up to 256 bytes come whole (getrandom(2)).
    if filled != random.len() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}
