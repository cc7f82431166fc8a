//! The client's end: lending a folder.

use std::fs::File;
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg, sockopt};

use crate::socket::reachable;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Hexadecimal digits of a handle.
pub(crate) const HANDLE_DIGITS: usize = 32;

/// A folder that is lent to a server as long as this lives.
#[derive(Debug)]
pub struct Loan {
    handle: String,
    _connection: UnixStream,
}

impl Loan {
    /// Lends a folder to the server that listens at a socket. A lock on the open folder (`flock`) is lent with it: it
    /// is held until the server too is done with the folder, which may be after this process has died.
    ///
    /// # Errors
    /// Nobody listens there, or somebody of another user; the folder cannot be lent.
    pub fn of(folder: &File, socket: &Path) -> io::Result<Self> {
        let (path, _held) = reachable(socket)?;
        let mut connection = UnixStream::connect(path)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        if sockopt::socket_peercred(&connection)?.uid != rustix::process::geteuid() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [folder.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(
            &connection,
            &[IoSlice::new(b"1")],
            &mut control,
            SendFlags::NOSIGNAL,
        )?;
        let mut handle = [0; HANDLE_DIGITS];
        connection.read_exact(&mut handle)?;
        let handle = String::from_utf8(handle.to_vec()).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(Self {
            handle,
            _connection: connection,
        })
    }

    /// By what name the server knows the folder.
    #[must_use]
    pub fn handle(&self) -> &str {
        &self.handle
    }
}
