//! The server of a home on this machine: whether it runs, where it answers, and where its log is.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Pid;

use crate::api::Api;
use crate::error::{CliError, CliResult};
use crate::home::{self, Credentials};

/// How long a server may take to start.
pub const READY_DEADLINE: Duration = Duration::from_secs(60);
/// How often a server that starts or stops is looked at.
pub const POLL: Duration = Duration::from_millis(5);

/// What a server wrote into its lock file once it answered requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Its process.
    pub process: Pid,
    /// Its address.
    pub url: String,
}

/// The server's log when it runs in the background.
#[must_use]
pub fn log_path(home: &Path) -> PathBuf {
    home.join("logs").join("server.log")
}

fn lock_path(home: &Path) -> PathBuf {
    home.join("run").join("server.lock")
}

/// Whether no server holds this home. The server keeps an exclusive lock on this file while it lives, so
/// the answer is right even after kill -9.
#[must_use]
pub fn lock_is_free(home: &Path) -> bool {
    is_free(&lock_path(home))
}

fn is_free(lock: &Path) -> bool {
    let Ok(file) = OpenOptions::new().read(true).open(lock) else {
        return true;
    };
    Flock::lock(file, FlockArg::LockSharedNonblock).is_ok()
}

/// Tasks of this home that run, engines among them: each has a folder with a lock that its shim holds.
#[must_use]
pub fn tasks_running(home: &Path) -> usize {
    let Ok(folders) = std::fs::read_dir(home.join("run").join("tasks")) else {
        return 0;
    };
    let locks = folders.flatten().map(|folder| folder.path().join("lock"));
    locks.filter(|lock| !is_free(lock)).count()
}

/// What the newest server of this home announced. It may be gone: see [`running`].
#[must_use]
pub fn announcement(home: &Path) -> Option<Announcement> {
    announced(&std::fs::read_to_string(lock_path(home)).ok()?)
}

fn announced(text: &str) -> Option<Announcement> {
    let (process, url) = text.strip_suffix('\n')?.split_once('\n')?;
    Some(Announcement {
        process: Pid::from_raw(process.parse().ok()?),
        url: url.to_owned(),
    })
}

/// The server that holds this home, waited for while it starts or stops; none if nobody holds it. What it
/// announced is not enough: after kill -9 the kernel takes a moment to let go of the lock.
pub fn running(home: &Path, since: Instant) -> CliResult<Option<Announcement>> {
    while !lock_is_free(home) {
        if let Some(found) = announcement(home)
            && exists(found.process)
            && answers(home, &found)?
        {
            return Ok(Some(found));
        }
        if since.elapsed() > READY_DEADLINE {
            return Err(hangs(home));
        }
        std::thread::sleep(POLL);
    }
    Ok(None)
}

fn answers(home: &Path, server: &Announcement) -> CliResult<bool> {
    let credentials = Credentials {
        url: server.url.clone(),
        ..home::own_credentials(home)?
    };
    Ok(Api::new(credentials)?.answers())
}

fn hangs(home: &Path) -> CliError {
    let log = log_path(home);
    let process = announcement(home).map(|server| format!(" (process {})", server.process));
    CliError::failed(format!(
        "the server of this home{} has not answered for {} s",
        process.unwrap_or_default(),
        READY_DEADLINE.as_secs()
    ))
    .hint(format!("look at {}", log.display()))
}

/// Whether this server still holds the home; another one may hold it by now.
#[must_use]
pub fn still_runs(home: &Path, server: &Announcement) -> bool {
    exists(server.process) && !lock_is_free(home)
}

/// Whether there is such a process, be it ours or somebody else's.
fn exists(process: Pid) -> bool {
    !matches!(nix::sys::signal::kill(process, None), Err(Errno::ESRCH))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn home_with_lock(content: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("run")).unwrap();
        std::fs::write(lock_path(home.path()), content).unwrap();
        home
    }

    #[test]
    fn an_announcement_is_whole_or_none() {
        let found = announced("12\nhttp://127.0.0.1:1\n").unwrap();
        assert_eq!(
            (found.process.as_raw(), found.url.as_str()),
            (12, "http://127.0.0.1:1")
        );
        for unfinished in ["", "12\n", "12\nhttp://127.0", "x\nhttp://127.0.0.1:1\n"] {
            assert_eq!(announced(unfinished), None, "{unfinished:?}");
        }
    }

    #[test]
    fn what_a_gone_server_announced_is_not_believed() {
        let home = home_with_lock("1\nhttp://127.0.0.1:1\n");
        assert_eq!(running(home.path(), Instant::now()).unwrap(), None);
        let nowhere = Path::new("/nonexistent");
        assert_eq!(running(nowhere, Instant::now()).unwrap(), None);
    }

    #[test]
    fn a_task_runs_while_its_lock_is_held() {
        let home = home_with_lock("");
        let task = home.path().join("run/tasks/task_1");
        std::fs::create_dir_all(&task).unwrap();
        assert_eq!(tasks_running(home.path()), 0);
        let file = std::fs::File::create(task.join("lock")).unwrap();
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
        assert_eq!(tasks_running(home.path()), 1);
        drop(lock);
        assert_eq!(tasks_running(home.path()), 0);
    }

    #[test]
    fn a_server_that_starts_is_waited_for_and_one_that_dies_is_not_believed() {
        let home = home_with_lock(&format!("{}\n", std::process::id()));
        let credentials = "url = \"http://127.0.0.1:1\"\ntoken = \"t\"\n";
        std::fs::write(home.path().join("credentials"), credentials).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(lock_path(home.path()))
            .unwrap();
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
        let said = format!("{url}\n");
        let starting = std::thread::spawn(move || {
            std::thread::sleep(POLL * 4);
            (&*lock).write_all(said.as_bytes()).unwrap();
            let (mut client, _) = listener.accept().unwrap();
            assert!(client.read(&mut [0; 1024]).unwrap() > 0);
            client
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
            lock
        });
        let found = running(home.path(), Instant::now()).unwrap().unwrap();
        assert_eq!(found.url, url);
        let lock = starting.join().unwrap();
        assert!(still_runs(home.path(), &found));
        // Its listener is gone, its lock not yet: killed, or on its way out.
        let dying = std::thread::spawn(move || {
            std::thread::sleep(POLL * 4);
            drop(lock);
        });
        assert_eq!(running(home.path(), Instant::now()).unwrap(), None);
        dying.join().unwrap();
        assert!(!still_runs(home.path(), &found));
    }
}
