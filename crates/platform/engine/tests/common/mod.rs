//! Engine processes for tests: this test binary again, with arguments that make it an engine.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use corliss_engine::client::EngineClient;
use corliss_engine::protocol::{EngineState, Ready};
use corliss_engine::{EngineArgs, EngineError};

/// Generous, because the machine may be busy.
pub const DEADLINE: Duration = Duration::from_secs(60);
const VARIABLE: &str = "CORLISS_TEST_ENGINE_COMMAND";

#[derive(clap::Parser)]
struct Program {
    #[command(flatten)]
    args: EngineArgs,
}

/// Turns this process into an engine if it was started as one. Call it from a test named `engine_child`.
pub fn become_engine_if_asked() {
    if let Ok(command) = std::env::var(VARIABLE) {
        let words: Vec<String> = serde_json::from_str(&command).unwrap();
        let outcome = corliss_engine::process::main(Program::parse_from(words).args);
        std::process::exit(i32::from(outcome != std::process::ExitCode::SUCCESS));
    }
}

/// The command that starts an engine with these arguments.
pub fn command(args: &EngineArgs) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "engine_child", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, serde_json::to_string(&args.to_command()).unwrap())
        .stdout(Stdio::null());
    command
}

/// An engine process that ends with the test.
pub struct EngineProcess {
    pub child: Child,
    pub client: EngineClient,
    #[allow(dead_code)] // Each test file uses its part of these helpers.
    pub socket: PathBuf,
}

impl EngineProcess {
    pub fn start(args: &EngineArgs) -> Self {
        let child = command(args).spawn().unwrap();
        Self {
            child,
            client: EngineClient::unix(&args.listen),
            socket: args.listen.clone(),
        }
    }

    /// Waits until it is ready.
    pub async fn ready(&self) {
        let ready = self.wait_for(|ready| ready.state != EngineState::Loading).await;
        assert_eq!(ready.state, EngineState::Ready, "{ready:?}");
    }

    /// Waits for an answer of `/ready` that satisfies the test.
    pub async fn wait_for(&self, done: impl Fn(&Ready) -> bool) -> Ready {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.client.ready().await {
                Ok(ready) if done(&ready) => return ready,
                Ok(_) | Err(EngineError::Unreachable { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            assert!(Instant::now() < deadline, "the engine did not get there");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for the process to end.
    pub async fn exit(&mut self) -> std::process::ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the engine did not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that the test started.
pub fn signal(pid: u32, name: &str) {
    assert!(
        Command::new("kill")
            .args([format!("-{name}"), pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// A folder for a test's model and socket, short enough for a socket's path.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("ce").tempdir_in("/tmp").unwrap()
}

/// The arguments of an engine whose socket lies in `dir`.
pub fn args(kind: corliss_types::Flavor, model: &Path, dir: &Path) -> EngineArgs {
    EngineArgs::new(kind, model, dir.join("engine.sock"))
}
