//! An S3 server of this test process: moto, which `scripts/python-env s3` installs.
//!
//! It is started at first use, listens on loopback on a port that the system chooses, keeps everything in
//! memory and ends with the process that asked for it, as PostgreSQL does in `postgres`.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Path of `moto_server`, where it is not in the environment that `scripts/python-env s3` makes.
pub const PROGRAM_VARIABLE: &str = "CORLISS_TEST_MOTO_SERVER";

/// It looks whether there is a signature, and not at it.
const NOBODY: &str =
    "AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// As in `postgres`: the end of the pipe is the only end that counts.
const WATCHDOG: &str = r#"
trap '' INT TERM HUP
"$1" --host 127.0.0.1 --port 0 </dev/null >"$2/log" 2>&1 &
server=$!
cat >/dev/null
kill -KILL "$server" 2>/dev/null
wait "$server"
rm -rf "$2"
"#;

/// A new, empty bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Address of the server; it takes any credentials.
    pub endpoint: String,
    /// Name of the bucket.
    pub name: String,
}

struct Server {
    folder: PathBuf,
    /// Never written to: the kernel closes it with this process, and that stops the server.
    _lifeline: ChildStdin,
}

static SERVER: OnceLock<Server> = OnceLock::new();
static NEXT_BUCKET: AtomicU32 = AtomicU32::new(1);

/// A new bucket of a real S3 server.
///
/// # Panics
/// The server is not installed or does not start.
pub async fn fresh_bucket() -> Bucket {
    let folder = tokio::task::spawn_blocking(|| SERVER.get_or_init(start).folder.clone())
        .await
        .expect("the S3 server starts");
    let authority = authority_when_ready(&folder).await;
    let name = format!("suite-{}", NEXT_BUCKET.fetch_add(1, Ordering::Relaxed));
    make_bucket(&authority, &name).await;
    Bucket {
        endpoint: format!("http://{authority}"),
        name,
    }
}

#[allow(
    clippy::zombie_processes,
    reason = "the watchdog outlives this process; init reaps it"
)]
fn start() -> Server {
    let program = program();
    let folder = tempfile::Builder::new()
        .prefix("corliss-s3-")
        .tempdir()
        .expect("a temporary folder")
        .keep();
    let mut child = Command::new("/bin/sh")
        .args(["-c", WATCHDOG, "corliss-s3-watchdog"])
        .arg(program)
        .arg(&folder)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Out of reach of a test runner that kills the process group of a test that hangs.
        .process_group(0)
        .spawn()
        .expect("/bin/sh starts");
    let lifeline = child.stdin.take().expect("a pipe");
    Server {
        folder,
        _lifeline: lifeline,
    }
}

fn program() -> PathBuf {
    if let Some(program) = std::env::var_os(PROGRAM_VARIABLE) {
        return PathBuf::from(program);
    }
    // Tests run in the folder of their crate.
    let here = std::env::current_dir().expect("the folder of the crate");
    let mut programs = here
        .ancestors()
        .map(|folder| folder.join(".venv-s3/bin/moto_server"));
    programs.find(|program| program.is_file()).unwrap_or_else(|| {
        panic!(
            "the S3 server of these tests was not found: run 'scripts/python-env s3', or set {PROGRAM_VARIABLE} to \
             the path of moto_server"
        )
    })
}

async fn authority_when_ready(folder: &Path) -> String {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        let announced = log.split_once("Running on http://").map(|(_, rest)| rest);
        if let Some((authority, _)) = announced.and_then(|rest| rest.split_once('\n')) {
            return authority.trim().to_owned();
        }
        assert!(Instant::now() < deadline, "the S3 server did not start:\n{log}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Bucket {
    /// Puts an object as somebody else would, under any name.
    ///
    /// # Panics
    /// The server does not take it.
    pub async fn put(&self, key: &str, bytes: &[u8]) {
        self.send("PUT", &escaped(key), bytes).await;
    }

    /// Removes an object.
    ///
    /// # Panics
    /// The server does not do it.
    pub async fn remove(&self, key: &str) {
        self.send("DELETE", &escaped(key), b"").await;
    }

    /// From now on old versions of objects are kept.
    ///
    /// # Panics
    /// The server does not do it.
    pub async fn keep_versions(&self) {
        let wish = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        self.send("PUT", "?versioning", wish).await;
    }

    async fn send(&self, method: &str, path: &str, body: &[u8]) {
        let authority = self.endpoint.trim_start_matches("http://");
        let mut stream = TcpStream::connect(authority)
            .await
            .expect("the S3 server listens");
        let head = format!(
            "{method} /{}/{path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: {NOBODY}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            self.name,
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        stream.write_all(&request).await.expect("the S3 server listens");
        let mut answer = Vec::new();
        stream
            .read_to_end(&mut answer)
            .await
            .expect("the S3 server answers");
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.contains(" 200 ") || answer.contains(" 204 "),
            "the S3 server does not {method} '{path}':\n{answer}"
        );
    }
}

/// A key as part of an address; slashes stay.
fn escaped(key: &str) -> String {
    key.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

async fn make_bucket(authority: &str, name: &str) {
    let mut stream = TcpStream::connect(authority)
        .await
        .expect("the S3 server listens");
    let request = format!(
        "PUT /{name} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("the S3 server listens");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("the S3 server answers");
    assert!(
        answer.contains(" 200 "),
        "the S3 server makes no bucket:\n{answer}"
    );
}
