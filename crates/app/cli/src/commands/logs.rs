//! `corliss logs`: print what a task wrote, and go on as it writes.

use crate::api::segment;
use crate::args::LogsArgs;
use crate::context::{Context, typed};
use crate::error::{CliError, CliResult, EXIT_UNREACHABLE};
use crate::link::{self, Link};
use crate::views::{LogLine, LogPage};
use crate::{interrupt, output, program, text};

const PAGE_LINES: u32 = 1000;

/// Prints, then follows if asked to.
pub fn run(context: &Context, args: &LogsArgs) -> CliResult {
    let api = context.api()?;
    let job = super::why::job_of(&api, &args.target, "logs")?;
    let base = format!(
        "/api/v1/jobs/{}/logs?rank={}&stream=both",
        segment(&job),
        args.rank
    );
    if !args.follow {
        return print(context, args.tail, |query| api.get(&format!("{base}{query}")));
    }
    let what = if args.target.contains('/') {
        "the run"
    } else {
        "the job"
    };
    interrupt::on_interrupt(farewell(&args.target, &job));
    let link = Link::new(context, api, what, format!("logs {} --follow", args.target));
    follow(context, link, &base, args.tail)
}

fn farewell(target: &str, job: &str) -> String {
    match target.split_once('/') {
        Some((run, _)) => interrupt::run_goes_on(run),
        None => format!(
            "the job goes on: {}; stop it with {}",
            program::command(&format!("jobs show {job}")),
            program::command(&format!("jobs cancel {job}"))
        ),
    }
}

/// Where the next page begins: with the last so many lines, or where the page before it ended.
fn query(tail: Option<u64>, offset: u64) -> String {
    match tail {
        Some(lines) => format!("&limit={PAGE_LINES}&tail={lines}"),
        None => format!("&limit={PAGE_LINES}&offset={offset}"),
    }
}

/// Prints all pages that there are.
fn print(context: &Context, mut tail: Option<u64>, ask: impl Fn(&str) -> CliResult<LogPage>) -> CliResult {
    let mut offset = 0;
    loop {
        let page = ask(&query(tail.take(), offset))?;
        for line in &page.lines {
            print_line(context, line);
        }
        if is_last(&page, offset) {
            return Ok(());
        }
        offset = page.next_offset;
    }
}

fn is_last(page: &LogPage, offset: u64) -> bool {
    page.lines.is_empty() || page.next_offset == offset
}

/// Prints what there is and what comes, until the task has ended. A server that goes away is waited for.
fn follow(context: &Context, mut link: Link, base: &str, mut tail: Option<u64>) -> CliResult {
    let mut place = Place::default();
    loop {
        let answer = link.get(&format!("{base}{}", query(tail, place.offset)))?;
        link.tell();
        let Some(answer) = answer else {
            std::thread::sleep(link::PAUSE);
            continue;
        };
        tail = None;
        let page: LogPage = typed(answer)?;
        let at_end = is_last(&page, place.offset);
        for line in page.lines.iter().filter(|line| place.reach(line)) {
            print_line(context, line);
        }
        place.offset = page.next_offset;
        if at_end && (page.ended || listen(context, &link, base, &mut place)?) {
            return Ok(());
        }
    }
}

/// How far a log has been shown.
#[derive(Default)]
struct Place {
    /// Where the next question begins.
    offset: u64,
    /// Where the last line that was shown begins. A stream that breaks off does not say where it would have
    /// gone on, so that line is asked for again.
    shown: Option<u64>,
}

impl Place {
    /// Goes on to a line; tells whether it is a new one.
    fn reach(&mut self, line: &LogLine) -> bool {
        let new = self.shown.is_none_or(|shown| line.offset > shown);
        if new {
            (self.offset, self.shown) = (line.offset, Some(line.offset));
        }
        new
    }
}

/// Reads the live stream until it closes. Tells whether the log has ended; if not, the caller asks for what
/// is left.
fn listen(context: &Context, link: &Link, base: &str, place: &mut Place) -> CliResult<bool> {
    let path = format!("{base}&offset={}&follow=true", place.offset);
    let heard = link.api().events(&path, |event, data| {
        if event != "line" {
            return Ok(event == "end");
        }
        let line: LogLine = serde_json::from_str(data)
            .map_err(|error| CliError::failed(format!("the log stream is damaged: {error}")))?;
        if place.reach(&line) {
            print_line(context, &line);
        }
        Ok(false)
    });
    match heard {
        Err(error) if error.exit_code == EXIT_UNREACHABLE => Ok(false),
        heard => heard,
    }
}

fn print_line(context: &Context, line: &LogLine) {
    if context.json {
        output::say_json(&serde_json::json!({ "stream": line.stream, "text": line.text }));
    } else {
        output::say(&text::colourless(&line.text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(offset: u64) -> LogLine {
        LogLine {
            offset,
            stream: "stdout".to_owned(),
            text: String::new(),
        }
    }

    #[test]
    fn a_line_that_comes_again_is_not_shown_again() {
        let mut place = Place::default();
        assert!(place.reach(&line(0)));
        assert!(place.reach(&line(20)));
        assert_eq!(place.offset, 20, "where the stream may have broken off");
        assert!(!place.reach(&line(20)));
        assert!(place.reach(&line(40)));
    }
}
