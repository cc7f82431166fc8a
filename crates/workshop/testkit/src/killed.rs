//! A process that is killed after it has said that it is ready: for suites that start children of themselves.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a process may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(60);
const READY: &[u8] = b"\nready\n";

/// Starts the process, kills it (SIGKILL) so long after its line `ready`, and answers the whole lines that it wrote to
/// its standard output from there on.
#[must_use]
pub fn after_ready(command: &mut Command, after: Duration) -> Vec<String> {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    // What it says is read meanwhile, so that it never waits for us.
    let (ready, is_ready) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(read @ 1..) = out.read(&mut buffer) {
            said.extend_from_slice(&buffer[..read]);
            if said.windows(READY.len()).any(|part| part == READY) {
                let _ = ready.send(());
            }
        }
        String::from_utf8(said).unwrap()
    });
    is_ready.recv_timeout(PATIENCE).unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    let said = reader.join().unwrap();
    let (_, said) = said.split_once("\nready\n").unwrap();
    // A line that was cut off says nothing.
    let lines = said
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'));
    lines.map(str::to_owned).collect()
}
