//! What of a followed run is shown while it goes on: a live screen, plain lines, or nothing with `--json`.

use super::screen::Screen;
use super::watch::{LogTail, Plain};
use crate::context::Context;
use crate::link::Link;
use crate::output;
use crate::views::RunDetail;

/// The form that the output has.
enum Form {
    Live(Box<Live>),
    Plain(Plain),
    Json,
}

struct Live {
    screen: Screen,
    /// What it shows, to be drawn again with other words below.
    last: Option<RunDetail>,
}

/// Shows a run.
pub struct View {
    form: Form,
    logs: LogTail,
    run_id: String,
}

impl View {
    /// Chooses the form; plain lines begin with the run's id.
    pub fn new(context: &Context, link: &Link, run_id: &str) -> Self {
        let form = if context.json {
            Form::Json
        } else if output::can_draw(&std::io::stdout()) {
            Form::Live(Box::new(Live {
                screen: Screen::new(),
                last: None,
            }))
        } else {
            let console = address(link, run_id);
            output::say(&format!("{run_id} submitted; console {console}"));
            Form::Plain(Plain::new())
        };
        Self {
            form,
            logs: LogTail::new(),
            run_id: run_id.to_owned(),
        }
    }

    /// Shows what has changed.
    pub fn look(&mut self, link: &Link, run: &RunDetail) {
        match &mut self.form {
            Form::Live(live) => {
                let screen = &mut live.screen;
                self.logs
                    .poll(link.api(), run, |step, line| screen.log(step, line));
                screen.address = address(link, &self.run_id);
                screen.draw(run);
                live.last = Some(run.clone());
            }
            Form::Plain(plain) => plain.look(link.api(), &mut self.logs, run),
            Form::Json => {}
        }
    }

    /// Says that the server is away, or that it is back.
    pub fn tell(&mut self, link: &mut Link) {
        let Some(news) = link.news() else { return };
        match &mut self.form {
            Form::Live(live) => {
                live.screen.notice = link.trouble();
                match &live.last {
                    Some(run) => live.screen.draw(run),
                    None => output::complain(&news),
                }
            }
            Form::Plain(_) => output::complain(&news),
            Form::Json => {}
        }
    }

    /// Ends the live screen, if there is one, with all that is known of the run. Tells whether there was one.
    pub fn finish(self, run: &RunDetail) -> bool {
        match self.form {
            Form::Live(live) => {
                live.screen.finish(run);
                true
            }
            Form::Plain(_) | Form::Json => false,
        }
    }
}

fn address(link: &Link, run_id: &str) -> String {
    format!("{}/runs/{run_id}", link.api().url())
}
