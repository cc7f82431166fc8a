//! Following a release: every change is told, and what keeps it from changing.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::words::{ended, line, show};
use super::{ReleaseView, one};
use crate::context::{Context, typed};
use crate::error::{CliError, CliResult};
use crate::link::{self, Link};
use crate::{interrupt, output, program, units};

/// A step that waits for requests so long, and got none, is told of.
const SILENCE: Duration = Duration::from_secs(10);

/// Follows the release that a deployment began, until it has ended or waits for somebody; an error if it was not the new
/// version that won.
pub fn wait(link: Link, context: &Context, name: &str, id: &str) -> CliResult {
    let answer = follow(link, context, name, id, true)?;
    if let Some(lost) = lost(&typed(answer.clone())?, name) {
        return Err(lost);
    }
    context.answer(answer, |release: ReleaseView| show(&release))
}

/// That it was not the new version that won.
pub(super) fn lost(release: &ReleaseView, name: &str) -> Option<CliError> {
    let is_lost = matches!(release.state.as_str(), "rolled_back" | "superseded");
    is_lost.then(|| {
        let message = format!(
            "the release of version {} was {}",
            release.to_version,
            ended(release)
        );
        let look = program::command(&format!("endpoints releases {name} {}", release.id));
        CliError::failed(message).hint(look)
    })
}

/// Tells of every change, until it has ended, or waits for somebody if that is an end here.
pub(super) fn follow(
    mut link: Link,
    context: &Context,
    name: &str,
    id: &str,
    until_it_waits: bool,
) -> CliResult<Value> {
    interrupt::on_interrupt(format!(
        "the release goes on: {}",
        program::command(&format!("endpoints releases {name} --follow"))
    ));
    let (mut told, mut silence) = (String::new(), Silence::default());
    loop {
        let answer = link.get(&one(name, id))?;
        link.tell();
        if let Some(answer) = answer {
            let release: ReleaseView = typed(answer.clone())?;
            let now = line(&release);
            if !context.json && now != told {
                output::complain(&now);
                told = now;
            }
            if silence.is_long(&release, Instant::now()) && !context.json {
                output::complain(&no_requests(&release, name, until_it_waits));
            }
            if !release.is_active() || until_it_waits && release.waits_for_somebody() {
                return Ok(answer);
            }
        }
        std::thread::sleep(link::PAUSE);
    }
}

/// Whether a step that is over can only be judged by requests, and none comes.
#[derive(Default)]
struct Silence {
    /// The requests so far, and since when there are no more.
    since: Option<(u64, Instant)>,
    told: bool,
}

impl Silence {
    /// Whether it is time to say so; once.
    fn is_long(&mut self, release: &ReleaseView, now: Instant) -> bool {
        if release.next["waits_for"] != "requests" {
            self.since = None;
            return false;
        }
        let requests = release.new_requests();
        let since = match self.since {
            Some((known, since)) if known == requests => since,
            _ => now,
        };
        self.since = Some((requests, since));
        let is_long = !self.told && now.duration_since(since) >= SILENCE;
        self.told |= is_long;
        is_long
    }
}

fn no_requests(release: &ReleaseView, name: &str, deploys: bool) -> String {
    let missing = release.next["missing"].as_u64().unwrap_or(1);
    let not_followed = if deploys {
        ", and with -d it is not followed"
    } else {
        ""
    };
    format!(
        "version {} has had no request for {} s, and this step cannot be judged without: {} to come. Send requests to \
         '{name}', or decide with {} or {}. Ctrl-C leaves the release going on{not_followed}.",
        release.to_version,
        SILENCE.as_secs(),
        units::plural_of(missing, "more has", "more have"),
        program::command(&format!("endpoints promote {name}")),
        program::command(&format!("endpoints rollback {name}"))
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::release;
    use super::*;

    #[test]
    fn a_step_without_requests_is_told_of_once() {
        let waits = |requests: u64| {
            let seen = |version, requests| json!({"version": version, "replicas_ready": 1, "requests": requests, "errors": 0});
            release(json!({
                "next": {"waits_for": "requests", "missing": 50 - requests},
                "versions": [seen(1, 900), seen(2, requests)],
            }))
        };
        let (mut silence, begun) = (Silence::default(), Instant::now());
        let after = |seconds| begun + Duration::from_secs(seconds);
        assert!(!silence.is_long(&waits(0), begun));
        assert!(!silence.is_long(&waits(0), after(9)));
        // One has come: the silence begins anew.
        assert!(!silence.is_long(&waits(1), after(10)));
        assert!(!silence.is_long(&waits(1), after(19)));
        assert!(silence.is_long(&waits(1), after(20)));
        assert!(!silence.is_long(&waits(1), after(60)));
        let told = no_requests(&waits(1), "digits", true);
        assert!(told.contains("version 2 has had no request for 10 s"), "{told}");
        assert!(
            told.contains("49 more have to come") && told.contains("Ctrl-C"),
            "{told}"
        );
        assert!(
            told.contains("endpoints promote digits") && told.contains("-d"),
            "{told}"
        );
        let elsewhere = release(json!({"next": {"waits_for": "time", "until_ms": 5}}));
        assert!(!Silence::default().is_long(&elsewhere, after(60)));
    }
}
