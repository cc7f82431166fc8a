//! Ctrl-C while a run or a log is followed: leave the terminal as it was, say that the work goes on, and end.
//!
//! The signals are blocked before any other thread starts and taken by a thread of their own, so that they
//! count at once, also while a request is under way, and without a signal handler.

use std::io::Write;
use std::process;
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::{SigSet, Signal};

use crate::error::CliError;
use crate::{output, program};

/// Exit code of an interrupted command.
const EXIT_INTERRUPTED: u8 = 130;
const SHOW_CURSOR: &str = "\x1b[?25h";

struct State {
    /// What to say: nothing of what was asked goes on before something was submitted.
    farewell: Option<String>,
    /// Whether the live screen is at work.
    drawing: bool,
    json: bool,
}

static STATE: Mutex<State> = Mutex::new(State {
    farewell: None,
    drawing: false,
    json: false,
});

fn with_state<T>(use_it: impl FnOnce(&mut State) -> T) -> T {
    use_it(&mut STATE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Takes over Ctrl-C and SIGTERM. To be called before other threads start, the HTTP client's for instance.
pub fn watch(json: bool) {
    with_state(|state| state.json = json);
    let ignored = ignored_signals();
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        // A shell that starts a command in the background has it ignore Ctrl-C.
        if ignored & (1 << (signal as u64 - 1)) == 0 {
            signals.add(signal);
        }
    }
    if signals.thread_block().is_err() {
        return;
    }
    std::thread::spawn(move || {
        if let Ok(signal) = signals.wait() {
            end(signal);
        }
    });
}

/// What to say when the command is interrupted from now on.
pub fn on_interrupt(farewell: String) {
    with_state(|state| state.farewell = Some(farewell));
}

/// What an interrupted follower of a run says.
pub fn run_goes_on(run_id: &str) -> String {
    format!(
        "the run goes on: {}; stop it with {}",
        program::command(&format!("runs show {run_id}")),
        program::command(&format!("runs cancel {run_id}"))
    )
}

/// Tells whether a live screen is at work, which hides the cursor.
pub fn drawing(yes: bool) {
    with_state(|state| state.drawing = yes);
}

fn end(signal: Signal) -> ! {
    let (farewell, drawing, json) = with_state(|state| (state.farewell.take(), state.drawing, state.json));
    let code = match signal {
        Signal::SIGINT => i32::from(EXIT_INTERRUPTED),
        other => 128 + other as i32,
    };
    // Held to the end: the screen must not draw again. Only then, because a pipe may be stuck for ever.
    let mut out = drawing.then(|| std::io::stdout().lock());
    if let Some(out) = &mut out {
        let _ = out.write_all(SHOW_CURSOR.as_bytes()).and_then(|()| out.flush());
    }
    match farewell {
        Some(farewell) if json => CliError::new(EXIT_INTERRUPTED, "interrupted", farewell).show(true),
        Some(farewell) => output::complain(&farewell),
        None => {}
    }
    process::exit(code)
}

/// The signals that this process was started to ignore, one bit each.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
