//! `corliss logs`: print what a task wrote, and go on as it writes.

use serde_json::Value;

use crate::api::{Api, segment};
use crate::args::LogsArgs;
use crate::context::{Context, typed};
use crate::error::{CliError, CliResult};
use crate::views::{LogLine, LogPage};
use crate::{interrupt, output};

const PAGE_LINES: u32 = 1000;

/// Prints, then follows if asked to.
pub fn run(context: &Context, args: &LogsArgs) -> CliResult {
    let api = context.api()?;
    let job = super::why::job_of(&api, &args.target, "logs")?;
    if args.follow {
        interrupt::on_interrupt(match args.target.split_once('/') {
            Some((run, _)) => interrupt::run_goes_on(run),
            None => {
                format!("the job goes on: corliss jobs show {job}; stop it with corliss jobs cancel {job}")
            }
        });
    }
    let base = format!(
        "/api/v1/jobs/{}/logs?rank={}&stream=both",
        segment(&job),
        args.rank
    );
    let mut offset = 0;
    let mut first = true;
    loop {
        let start = match (first, args.tail) {
            (true, Some(tail)) => format!("&tail={tail}"),
            _ => format!("&offset={offset}"),
        };
        first = false;
        let answer: Value = api.get(&format!("{base}&limit={PAGE_LINES}{start}"))?;
        let page: LogPage = typed(answer.clone())?;
        let at_end = page.lines.is_empty() || page.next_offset == offset;
        for line in &page.lines {
            print_line(context, line);
        }
        offset = page.next_offset;
        if at_end && page.ended {
            return Ok(());
        }
        if at_end && !args.follow {
            return Ok(());
        }
        if at_end {
            follow(context, &api, &base, &mut offset)?;
        }
    }
}

/// Reads the live stream until it closes; the caller then asks for what is left.
fn follow(context: &Context, api: &Api, base: &str, offset: &mut u64) -> CliResult {
    api.events(&format!("{base}&offset={offset}&follow=true"), |event, data| {
        if event != "line" {
            return Ok(event == "end");
        }
        let value: Value = serde_json::from_str(data)
            .map_err(|error| CliError::failed(format!("the log stream is damaged: {error}")))?;
        if let Some(next) = value.get("next_offset").and_then(Value::as_u64) {
            *offset = next;
        }
        print_line(context, &typed(value)?);
        Ok(false)
    })?;
    Ok(())
}

fn print_line(context: &Context, line: &LogLine) {
    if context.json {
        output::say_json(&serde_json::json!({ "stream": line.stream, "text": line.text }));
    } else {
        output::say(&line.text);
    }
}
