//! Progress of what takes long: on standard error, and only on a terminal, so that output can be piped.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{output, text, units};

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

/// Something that counts bytes or things, of which the total may become known and change.
pub struct Meter {
    bar: ProgressBar,
    form: Form,
}

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Nobody knows how much is to come.
    Spinner,
    /// Bytes of many.
    Bytes,
    /// Files, pieces or packs of many.
    Things,
}

impl Form {
    const fn template(self) -> &'static str {
        match self {
            Self::Spinner => "{spinner} {msg} {elapsed}",
            Self::Bytes => "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            Self::Things => "{msg} {wide_bar} {pos}/{len} {per_sec} {eta}",
        }
    }
}

impl Meter {
    /// Nothing is known yet.
    pub fn new(what: &str) -> Self {
        Self {
            bar: spinner(what),
            form: Form::Spinner,
        }
    }

    /// Bytes of `total`, with rate and time that is left; without a total bytes and rate are part of the message.
    pub fn bytes(&mut self, what: &str, done: u64, total: Option<u64>) {
        match total {
            Some(total) => self.show(Form::Bytes, what, done, total),
            None if done == 0 => self.show(Form::Spinner, what, 0, 0),
            None => {
                let ms = u64::try_from(self.bar.elapsed().as_millis()).unwrap_or(u64::MAX);
                let rate = u128::from(done) * 1000 / u128::from(ms.max(1));
                let (sum, rate) = (
                    units::bytes(done),
                    units::bytes(u64::try_from(rate).unwrap_or(u64::MAX)),
                );
                self.show(Form::Spinner, &format!("{what}, {sum}, {rate}/s"), 0, 0);
            }
        }
    }

    /// Things of many.
    pub fn things(&mut self, what: &str, done: u64, total: u64) {
        self.show(Form::Things, what, done, total);
    }

    fn show(&mut self, form: Form, what: &str, done: u64, total: u64) {
        if form != self.form || (form != Form::Spinner && self.bar.length() != Some(total)) {
            self.form = form;
            if let Ok(style) = ProgressStyle::with_template(form.template()) {
                self.bar.set_style(style);
            }
            self.bar.reset_eta();
        }
        self.bar.set_message(text::tame(what, WIDEST));
        if form != Form::Spinner {
            self.bar.set_length(total);
            self.bar.set_position(done);
        }
    }

    /// Takes it off the screen.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn target() -> ProgressDrawTarget {
    if output::can_draw(&std::io::stderr()) {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}
