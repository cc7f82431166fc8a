//! One pass of a driver: decide until nothing changes, store, then let things happen.

use std::sync::Arc;
use std::time::Duration;

use corliss_policy_pipeline::{
    Action, Attempt, AttemptState, Cached, Reason, RunState, StepState, decide, invariants,
};

use super::close::{Closing, close};
use super::driver::Driver;
use super::operations::{Done, Launch};
use super::prepare::{Preparation, prepare};
use super::publish::publish;
use super::release::{Results, release};
use super::told::{ended_reason, run_reason};
use crate::cache_key::cache_key;
use crate::error::PipelinesError;
use crate::store::{self, Record};

impl Driver {
    /// Decides, stores and acts; answers when to look again though nothing happens.
    pub(super) async fn pass(&mut self) -> Result<Option<Duration>, PipelinesError> {
        let wake = loop {
            self.run.view.now = self.context.sources.clock.now();
            let plan = decide(&self.run.view);
            debug_assert_eq!(invariants::check(&self.run.view, &plan), Ok(()), "{plan:?}");
            let mut consult = Vec::new();
            let mut changed = false;
            for action in plan.actions {
                changed |= self.act(action, &mut consult);
            }
            if !consult.is_empty() {
                self.consult(consult).await?;
                changed = true;
            }
            if !changed {
                let now = self.run.view.now;
                break plan.wake_at.map(|at| Duration::from(at.since(now)));
            }
        };
        self.close_ended();
        self.flush().await?;
        self.launch();
        Ok(wake)
    }

    /// Carries one action into the view and the record. True if the view has changed.
    fn act(&mut self, action: Action, consult: &mut Vec<usize>) -> bool {
        match action {
            Action::ConsultCache { step } => {
                consult.push(step);
                false
            }
            Action::Reuse { step } => self.reuse(step),
            Action::Start { step, attempt } => {
                self.run.view.steps[step].state = StepState::Queued;
                self.run.view.steps[step].attempt = Some(Attempt {
                    number: attempt,
                    state: AttemptState::Live,
                });
                let active = &mut self.run.steps[step];
                (active.busy, active.started, active.ended) = (true, None, None);
                self.record(Record::AttemptStarted { step, attempt });
                self.launches.push(Launch::Prepare {
                    step,
                    attempt,
                    fresh: true,
                });
                true
            }
            Action::Publish { step, attempt } => self.publish(step, attempt),
            Action::CancelJob { step, .. } => {
                // Without a job yet the attempt is being prepared; decided again once that has ended.
                if let Some(job) = self.run.steps[step]
                    .job
                    .clone()
                    .filter(|_| !self.run.steps[step].cancel_sent)
                {
                    self.run.steps[step].cancel_sent = true;
                    self.launches.push(Launch::CancelJob { step, job });
                }
                false
            }
            Action::Fail { step, reason } => self.end_step(step, StepState::Failed, &reason),
            Action::Cancel { step, reason } => self.end_step(step, StepState::Cancelled, &reason),
            Action::Skip { step, reason } => self.end_step(step, StepState::Skipped, &reason),
            Action::Release => {
                if !std::mem::replace(&mut self.run.releasing, true) {
                    self.launches.push(Launch::Release);
                }
                false
            }
            Action::Finish { state, because } => self.finish(state, because),
        }
    }

    fn reuse(&mut self, step: usize) -> bool {
        let active = &mut self.run.steps[step];
        let Some(hit) = active.hit.take() else {
            // Nothing to take over after all: decided again, as a start.
            self.run.view.steps[step].cached = Cached::No;
            return true;
        };
        active.outputs.clone_from(&hit.outputs);
        active.tracking_run = hit.tracking_run.clone();
        self.run.view.steps[step].state = StepState::Reused;
        self.record(Record::Reused {
            step,
            from: hit.run,
            tracking_run: hit.tracking_run,
            outputs: hit.outputs,
        });
        true
    }

    fn publish(&mut self, step: usize, attempt: u32) -> bool {
        if self.run.steps[step].busy {
            return false;
        }
        if self.run.fixed.spec.steps[step].outputs.is_empty() {
            self.succeeded(step, attempt, std::collections::BTreeMap::new());
            return true;
        }
        self.run.steps[step].busy = true;
        self.record_lazily(Record::Publishing { step, attempt });
        self.launches.push(Launch::Publish { step, attempt });
        false
    }

    fn end_step(&mut self, step: usize, state: StepState, reason: &Reason) -> bool {
        let reason = ended_reason(
            &self.run.fixed.spec,
            reason,
            self.run.steps[step].reason.as_deref(),
        );
        self.run.view.steps[step].state = state;
        self.run.steps[step].reason = Some(reason.clone());
        self.run.unclosed.insert(step);
        self.record(Record::StepEnded { step, state, reason });
        true
    }

    /// A run ends once everything that follows from its steps is done.
    fn finish(&mut self, state: RunState, because: Option<usize>) -> bool {
        if self.run.closing > 0 || !self.run.unclosed.is_empty() || self.run.ended {
            return false;
        }
        let why = because.and_then(|step| self.run.steps[step].reason.as_deref());
        let reason = match run_reason(&self.run.fixed.spec, because, why) {
            None if state == RunState::Cancelled => Some("someone cancelled it".to_owned()),
            reason => reason,
        };
        self.record(Record::RunEnded { state, reason });
        self.run.ended = true;
        false
    }

    pub(super) fn key_of(&self, step: usize) -> String {
        if let Some(key) = &self.run.steps[step].cache_key {
            return key.clone();
        }
        let run = &self.run.fixed;
        let inputs = self.run.inputs(step).unwrap_or_default();
        cache_key(&run.spec.steps[step], &run.source, &inputs, &run.params)
    }

    /// Looks for earlier results of steps whose inputs are now known; only those count whose versions all
    /// still exist.
    async fn consult(&mut self, steps: Vec<usize>) -> Result<(), PipelinesError> {
        let keys: Vec<String> = steps.iter().map(|step| self.key_of(*step)).collect();
        for (step, key) in steps.iter().zip(&keys) {
            self.run.steps[*step].cache_key = Some(key.clone());
        }
        let hits = self
            .context
            .store
            .read::<_, PipelinesError, _>(move |tx| Ok(store::cached(tx, &keys)?))
            .await?;
        let versions: Vec<_> = hits
            .iter()
            .flatten()
            .flat_map(|hit| hit.outputs.values().cloned())
            .collect();
        let missing = match versions.is_empty() {
            true => Vec::new(),
            false => self.context.ports.datasets.missing(&versions).await?,
        };
        for (step, hit) in steps.into_iter().zip(hits) {
            let hit = hit.filter(|hit| !hit.outputs.values().any(|version| missing.contains(version)));
            self.run.view.steps[step].cached = if hit.is_some() { Cached::Yes } else { Cached::No };
            self.run.steps[step].hit = hit;
        }
        Ok(())
    }

    fn close_ended(&mut self) {
        for step in std::mem::take(&mut self.run.unclosed) {
            if self.run.attempt(step).is_some() {
                self.run.closing += 1;
                self.launches.push(Launch::Close { step });
            } else {
                // It never had a task, so there is no token, tracking run or lineage of it.
                self.record_lazily(Record::StepClosed { step });
            }
        }
    }

    /// Lets happen what was decided; only what is stored gets here.
    fn launch(&mut self) {
        for launch in std::mem::take(&mut self.launches) {
            let (context, run) = (self.context.clone(), Arc::clone(&self.run.fixed));
            match launch {
                Launch::Prepare { step, attempt, fresh } => {
                    let inputs = self.run.inputs(step).unwrap_or_default();
                    let tracking_run = self.run.steps[step].tracking_run.clone();
                    let preparation = Preparation {
                        step,
                        attempt,
                        fresh,
                        inputs,
                        tracking_run,
                    };
                    self.running.spawn(async move {
                        let job = prepare(&context, &run, &preparation).await;
                        Done::Prepared { step, attempt, job }
                    });
                }
                Launch::Publish { step, attempt } => {
                    self.running.spawn(async move {
                        let outputs = publish(&context, &run, step, attempt).await;
                        Done::Published {
                            step,
                            attempt,
                            outputs,
                        }
                    });
                }
                Launch::CancelJob { step, job } => {
                    self.running.spawn(async move {
                        let result = context
                            .ports
                            .jobs
                            .cancel(&job)
                            .await
                            .map_err(PipelinesError::from);
                        Done::CancelSent { step, result }
                    });
                }
                Launch::Close { step } => {
                    let closing = self.closing(step);
                    self.running.spawn(async move {
                        let result = close(&context, &run, &closing).await;
                        Done::Closed { step, result }
                    });
                }
                Launch::Release => {
                    let results = self.results();
                    self.running
                        .spawn(async move { Done::Released(release(&context, &run, &results).await) });
                }
            }
        }
    }

    fn closing(&self, step: usize) -> Closing {
        let active = &self.run.steps[step];
        Closing {
            step,
            state: self.run.view.steps[step].state,
            tracking_run: active.tracking_run.clone(),
            inputs: self.run.inputs(step).unwrap_or_default(),
            outputs: active.outputs.clone(),
        }
    }

    fn results(&self) -> Results {
        Results {
            tracking_runs: self
                .run
                .steps
                .iter()
                .map(|step| step.tracking_run.clone())
                .collect(),
            outputs: self.run.steps.iter().map(|step| step.outputs.clone()).collect(),
        }
    }
}
