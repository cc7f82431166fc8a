//! What is new since the last look: log lines of running steps, and states that changed.

use std::collections::BTreeMap;

use crate::api::{Api, segment};
use crate::output;
use crate::text;
use crate::units;
use crate::views::{LogPage, RunDetail, StepView};

const LINES_A_POLL: u32 = 500;
/// Further looks at the log of a step that has ended; what it wrote beyond that is in the log only.
const LAST_LOOKS: usize = 100;

/// How far each job's log has been read.
pub struct LogTail {
    offsets: BTreeMap<String, (u64, bool)>,
}

impl LogTail {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self {
            offsets: BTreeMap::new(),
        }
    }

    /// Hands each new line of each step's first worker to `each`.
    pub fn poll(&mut self, api: &Api, run: &RunDetail, mut each: impl FnMut(&str, &str)) {
        for step in &run.steps {
            self.poll_step(api, step, |line| each(&step.name, line));
        }
    }

    /// Hands each new line of a step's first worker to `each`. A log that cannot be read now is read at the
    /// next look: following must not fail because of it. Returns whether there were new lines.
    pub fn poll_step(&mut self, api: &Api, step: &StepView, mut each: impl FnMut(&str)) -> bool {
        let Some(job) = step.job_id.as_ref().filter(|_| step.state != "reused") else {
            return false;
        };
        let (offset, ended) = self.offsets.entry(job.clone()).or_insert((0, false));
        if *ended {
            return false;
        }
        let path = format!(
            "/api/v1/jobs/{}/logs?rank=0&stream=both&offset={offset}&limit={LINES_A_POLL}",
            segment(job)
        );
        let Ok(page) = api.poll::<LogPage>(&path) else {
            return false;
        };
        for line in &page.lines {
            each(&text::colourless(&line.text));
        }
        let drained = page.lines.is_empty() || page.next_offset == *offset;
        *offset = page.next_offset;
        *ended = page.ended && drained;
        !page.lines.is_empty()
    }
}

/// Prints a line when a state changes.
pub struct Plain {
    steps: BTreeMap<String, String>,
    models: BTreeMap<String, String>,
    endpoints: BTreeMap<String, String>,
    run: String,
}

impl Plain {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self {
            steps: BTreeMap::new(),
            models: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            run: String::new(),
        }
    }

    /// Prints what is new: of each step its beginning, its log lines, then its end.
    pub fn look(&mut self, api: &Api, logs: &mut LogTail, run: &RunDetail) {
        if !run.ended() {
            self.run(run);
        }
        for step in &run.steps {
            self.beginning(step);
            let mut say = |line: &str| output::say(&format!("{} | {line}", step.name));
            let mut more = logs.poll_step(api, step, &mut say);
            for _ in 0..LAST_LOOKS {
                more = more && step.ended() && logs.poll_step(api, step, &mut say);
            }
            if step.ended() {
                self.step(step, &describe(step));
            }
        }
        for model in &run.models {
            let now = model.state_and_reason();
            if changed(&mut self.models, &model.name, &now) && model.state != "pending" {
                output::say(&format!("model {} {now}", model.label()));
            }
        }
        for endpoint in &run.endpoints {
            let now = endpoint.state_and_reason();
            if changed(&mut self.endpoints, &endpoint.name, &now) && endpoint.state != "pending" {
                output::say(&format!("endpoint {} {now}", endpoint.name));
            }
        }
        if run.ended() {
            self.run(run);
        }
    }

    fn beginning(&mut self, step: &StepView) {
        if !step.ended() {
            self.step(step, &describe(step));
        } else if step.started_ms.is_some() && !self.steps.contains_key(&step.name) && step.state != "reused"
        {
            // Between two looks it ran from its beginning to its end.
            self.step(step, "running");
        }
    }

    fn step(&mut self, step: &StepView, now: &str) {
        if step.state != "waiting" && changed(&mut self.steps, &step.name, now) {
            output::say(&format!("{} {now}", step.name));
        }
    }

    fn run(&mut self, run: &RunDetail) {
        if self.run != run.summary.state {
            self.run.clone_from(&run.summary.state);
            let took = match run.summary.ended_ms {
                Some(_) => format!(" ({})", units::span(run.summary.started_ms, run.summary.ended_ms)),
                None => String::new(),
            };
            output::say(&format!("{} {}{took}", run.summary.id, self.run));
        }
    }
}

fn changed(seen: &mut BTreeMap<String, String>, name: &str, now: &str) -> bool {
    if seen.get(name).is_some_and(|before| before == now) {
        return false;
    }
    seen.insert(name.to_owned(), now.to_owned());
    true
}

/// `running (attempt 2, after worker 1 was killed by SIGKILL)`
pub fn describe(step: &StepView) -> String {
    let previous = step
        .attempts
        .iter()
        .rev()
        .find(|attempt| attempt.attempt < step.attempt);
    let attempt = match previous.and_then(|attempt| attempt.reason.as_ref()) {
        Some(reason) if step.attempt > 1 => format!(" (attempt {}, after: {reason})", step.attempt),
        None if step.attempt > 1 => format!(" (attempt {})", step.attempt),
        _ => String::new(),
    };
    let reason = match (&step.reason, step.state.as_str()) {
        (Some(reason), "failed" | "cancelled" | "skipped" | "queued" | "reused") => format!(": {reason}"),
        _ => String::new(),
    };
    format!("{}{attempt}{reason}", step.state)
}
