//! Progress of what takes long: on standard error, and only on a terminal, so that output can be piped.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{output, text};

/// Characters of a message beside a progress bar.
const WIDEST: usize = 500;

/// Bytes of many, with their rate and the time that is left.
pub fn bytes(what: &str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let bar = ProgressBar::with_draw_target(Some(total), target()).with_message(text::tame(what, WIDEST));
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Something that takes a while of which nobody knows how long.
pub fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, target()).with_message(text::tame(what, WIDEST));
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    match ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn target() -> ProgressDrawTarget {
    if output::can_draw(&std::io::stderr()) {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}
