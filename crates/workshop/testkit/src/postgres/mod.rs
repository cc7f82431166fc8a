//! A PostgreSQL server of this test process, from the system's binaries.
//!
//! It is started at first use, listens on a Unix socket in a temporary folder, does not sync, and ends with
//! the process that asked for it, however that ends: a shell beside it waits on a pipe that only this process
//! holds open, and stops the server and removes the folder when the kernel closes it.

mod binaries;
mod template;
mod user;

use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use std::os::unix::process::CommandExt;

use tokio_postgres::{Client, NoTls};

use user::User;

/// Set to anything to leave PostgreSQL out where it cannot be installed.
pub const SKIP_VARIABLE: &str = "CORLISS_TEST_SKIP_POSTGRES";

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Ignores what ends a terminal's foreground job: the end of the pipe is the only end that counts. QUIT is
/// PostgreSQL's immediate shutdown.
const WATCHDOG: &str = r#"
trap '' INT TERM HUP
"$1" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c full_page_writes=off \
    -c synchronous_commit=off -c autovacuum=off -c shared_buffers=16MB -c max_connections=100 \
    -c unix_socket_permissions=0777 -c logging_collector=off </dev/null >"$2/log" 2>&1 &
server=$!
cat >/dev/null
kill -QUIT "$server" 2>/dev/null
wait "$server"
rm -rf "$2"
"#;

struct Server {
    folder: PathBuf,
    /// Never written to: the kernel closes it with this process, and that stops the server.
    _lifeline: ChildStdin,
}

static SERVER: OnceLock<Server> = OnceLock::new();
static NEXT_DATABASE: AtomicU32 = AtomicU32::new(1);

/// The address of a new, empty database, for `MetastoreConfig::Postgres`; None if the environment says to
/// skip PostgreSQL.
///
/// # Panics
/// PostgreSQL is not installed or does not start.
pub async fn fresh_database() -> Option<String> {
    if std::env::var_os(SKIP_VARIABLE).is_some() {
        eprintln!("backend: PostgreSQL is skipped, as {SKIP_VARIABLE} is set");
        return None;
    }
    let folder = tokio::task::spawn_blocking(|| SERVER.get_or_init(start).folder.clone())
        .await
        .expect("PostgreSQL starts");
    let admin = connect_when_ready(&folder).await;
    let name = format!("suite_{}", NEXT_DATABASE.fetch_add(1, Ordering::Relaxed));
    admin
        .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
        .await
        .expect("a new database");
    Some(url(&folder, &name))
}

fn url(folder: &Path, database: &str) -> String {
    let host = folder.to_str().expect("a UTF-8 path").replace('/', "%2F");
    format!("postgresql://postgres@{host}/{database}")
}

#[allow(
    clippy::zombie_processes,
    reason = "the watchdog outlives this process; init reaps it"
)]
fn start() -> Server {
    let programs = binaries::find().unwrap_or_else(|message| panic!("{message}"));
    let user = User::for_server();
    let folder = tempfile::Builder::new()
        .prefix("corliss-pg-")
        .tempdir()
        .expect("a temporary folder")
        .keep();
    user.own(&folder);
    template::copy(&programs, &user, &folder.join("data"));
    let mut watchdog = Command::new("/bin/sh");
    watchdog
        .args(["-c", WATCHDOG, "corliss-postgres-watchdog"])
        .arg(programs.join("postgres"))
        .arg(&folder)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Out of reach of a test runner that kills the process group of a test that hangs.
        .process_group(0);
    user.run_as(&mut watchdog);
    let mut child = watchdog.spawn().expect("/bin/sh starts");
    let lifeline = child.stdin.take().expect("a pipe");
    Server {
        folder,
        _lifeline: lifeline,
    }
}

async fn connect_when_ready(folder: &Path) -> Client {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        match tokio_postgres::connect(&url(folder, "postgres"), NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                return client;
            }
            Err(error) if Instant::now() > deadline => {
                let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
                panic!("PostgreSQL did not start: {error}\n{log}");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
