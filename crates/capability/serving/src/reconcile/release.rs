//! A release's part of a pass: what happens next with it, written down before anything follows from it.

use std::time::Duration;

use corliss_policy_serving::release::{Breach, Next, Strategy, Timed};
use corliss_policy_serving::{Beside, Crashes};
use corliss_types::{ReleaseId, Timestamp};

use super::endpoint::{EndpointReconciler, Live};
use crate::routes::RouteRelease;
use crate::service::releases::step_view;
use crate::store::{self, Desired, EndpointRow, Failure, ReleaseRow, Target};
use crate::types::ReleaseState;
use crate::{DeployedModel, ServingError};
use corliss_diagnostics::counted;

impl EndpointReconciler {
    /// Brings the endpoint's release a step further, if one goes on; answers when to look again.
    pub(super) async fn advance(&self, live: &mut Live) -> Result<Option<Duration>, ServingError> {
        let Some(row) = live.active().cloned() else {
            return Ok(None);
        };
        let done = self.serving.compare(&row);
        let decision = self
            .serving
            .decide_release(&row, &live.row, &live.replicas, &done);
        let now = self.now();
        let mut next = row.clone();
        match decision.next {
            Next::Wait(_) => return Ok(decision.wake_at.map(|at| Duration::from(at.since(now)))),
            Next::Begin => next.begun = Some(now),
            Next::Advance => {
                next.steps.push(step_view(&row, &done, now));
                next.step += 1;
                next.begun = None;
            }
            Next::Complete => {
                next.steps.push(step_view(&row, &done, now));
                next.state = ReleaseState::Completed;
            }
            Next::RollBack(breach) => {
                next.steps.push(step_view(&row, &done, now));
                next.state = ReleaseState::RolledBack;
                next.reason = Some(self.why(&row, &breach).await?);
            }
        }
        if next.begun.is_some() && row.begun.is_none() {
            self.serving.count_anew(&row);
        }
        self.store_release(live, next).await?;
        // There is something to do about it at once.
        Ok(Some(Duration::ZERO))
    }

    async fn store_release(&self, live: &mut Live, next: ReleaseRow) -> Result<(), ServingError> {
        let (endpoint, stored, now) = (live.row.clone(), next.clone(), self.now());
        let changed = self
            .serving
            .parts
            .store
            .write(move |tx| {
                Ok::<_, ServingError>(if stored.state == ReleaseState::Completed {
                    store::complete_release(tx, &endpoint, &stored, now)?
                } else {
                    store::update_release(tx, &stored, now)?
                })
            })
            .await?;
        // Somebody else was faster: the next pass sees what they did.
        if !changed {
            return Ok(());
        }
        tracing::info!(endpoint = %next.endpoint, release = %next.id, version = next.target.version,
            state = next.state.as_str(), step = next.step, reason = next.reason.as_deref(), "release");
        if next.state == ReleaseState::Completed {
            live.row = taken_over(&live.row, &next, now);
        }
        live.release = Some(ReleaseRow {
            generation: next.generation + 1,
            updated: now,
            ended: next.state.has_ended().then_some(now),
            ..next
        });
        Ok(())
    }

    /// What is told of a breach; of crashes, in the engine's own words.
    async fn why(&self, row: &ReleaseRow, breach: &Breach) -> Result<String, ServingError> {
        let version = row.target.version;
        let Breach::Crashes { crashes } = breach else {
            return Ok(words(row.from, breach));
        };
        let endpoint = row.endpoint.clone();
        let store = &self.serving.parts.store;
        let failure = store
            .read(move |tx| Ok::<_, ServingError>(store::last_failure_of(tx, &endpoint, version)?))
            .await?;
        Ok(crashed(*crashes, version, failure.as_ref()))
    }

    /// A replica of the version that is being released ended by itself.
    pub(super) async fn release_crashed(
        &self,
        live: &mut Live,
        version: u32,
        crashes: Crashes,
    ) -> Result<(), ServingError> {
        let Some(row) = live.active().filter(|row| row.target.version == version).cloned() else {
            return Ok(());
        };
        let next = ReleaseRow {
            crashes: crashes.in_a_row,
            last_crash: crashes.last,
            ..row
        };
        self.store_release(live, next).await
    }

    /// An alias moved: what it names now is let out beside what serves, if that is how versions get out here. Answers
    /// whether it is; else it is to be rolled out.
    pub(super) async fn release_followed(&self, live: &mut Live, to: &Desired) -> Result<bool, ServingError> {
        let target = Target::of(to);
        let comparable = crate::service::comparable(&live.row.desired, &target);
        if live.row.release_plan.strategy == Strategy::Rolling || comparable.is_err() {
            self.supersede(live, &format!("the alias names version {} now", target.version))
                .await?;
            return Ok(false);
        }
        let (now, reason) = (
            self.now(),
            format!("the alias names version {} now", target.version),
        );
        let id = ReleaseId::new(self.serving.parts.sources.id_seed());
        let row = ReleaseRow::begin(id, &live.row, target, live.row.release_plan.clone(), None, now);
        let stored = row.clone();
        self.serving
            .parts
            .store
            .write(move |tx| {
                store::supersede_release(tx, &stored.endpoint, &reason, now)?;
                Ok::<_, ServingError>(store::insert_release(tx, &stored)?)
            })
            .await?;
        live.release = Some(row);
        Ok(true)
    }

    /// Whether the last time that this was released it was rolled back.
    pub(super) async fn was_rolled_back(
        &self,
        live: &Live,
        model: &DeployedModel,
    ) -> Result<bool, ServingError> {
        let name = live.row.name.clone();
        let store = &self.serving.parts.store;
        let releases = store
            .read(move |tx| Ok::<_, ServingError>(store::list_releases(tx, &name)?))
            .await?;
        let last = releases.iter().find(|release| release.target.is(model));
        Ok(last.is_some_and(|last| last.state == ReleaseState::RolledBack))
    }

    /// Ends the release that goes on, because something else takes its place.
    pub(super) async fn supersede(&self, live: &mut Live, reason: &str) -> Result<(), ServingError> {
        let Some(row) = live.active().cloned() else {
            return Ok(());
        };
        let next = ReleaseRow {
            state: ReleaseState::Superseded,
            reason: Some(reason.to_owned()),
            ..row
        };
        self.store_release(live, next).await
    }
}

impl Live {
    /// The release that goes on.
    pub(super) fn active(&self) -> Option<&ReleaseRow> {
        self.release
            .as_ref()
            .filter(|release| release.is_active() && !self.row.deleting)
    }

    /// Whether this is being released.
    pub(super) fn is_releasing(&self, model: &DeployedModel) -> bool {
        self.active().is_some_and(|release| release.target.is(model))
    }

    /// The newest release, if nothing was deployed since it ended.
    fn latest(&self) -> Option<&ReleaseRow> {
        let release = self.release.as_ref()?;
        let is_latest = release.ended.is_none_or(|ended| ended >= self.row.updated);
        is_latest.then_some(release)
    }

    /// The version that stands beside, or did and must go.
    pub(super) fn beside(&self) -> Option<Beside> {
        let release = self.latest()?;
        let version = release.target.version;
        let crashes = Crashes {
            in_a_row: release.crashes,
            last: release.last_crash,
        };
        match release.state {
            ReleaseState::Completed => None,
            ReleaseState::RolledBack | ReleaseState::Superseded => Some(Beside {
                version,
                replicas: 0,
                crashes,
            }),
            ReleaseState::Running | ReleaseState::Paused => Some(Beside {
                version,
                replicas: release.plan.replicas(release.step, self.row.desired.replicas),
                crashes,
            }),
        }
    }

    /// How replicas of a version fared.
    pub(super) fn crashes_of(&self, version: u32) -> Crashes {
        let beside = self.beside().filter(|beside| beside.version == version);
        let own = Crashes {
            in_a_row: self.row.crashes,
            last: self.row.last_crash,
        };
        match beside {
            Some(beside) if version != self.row.desired.version => beside.crashes,
            _ => own,
        }
    }

    /// The files of a version that is to be started.
    pub(super) fn files_of(&self, version: u32) -> &corliss_types::VersionId {
        match &self.release {
            Some(release) if release.target.version == version && version != self.row.desired.version => {
                &release.target.files
            }
            _ => &self.row.desired.files,
        }
    }

    /// The model that a version is one of.
    pub(super) fn model_of(&self, version: u32) -> &corliss_types::ModelName {
        match &self.release {
            Some(release) if release.target.version == version && version != self.row.desired.version => {
                &release.target.model
            }
            _ => &self.row.desired.model,
        }
    }

    /// What the gateway is told of the release.
    pub(super) fn route_release(&self) -> Option<RouteRelease> {
        let release = self.active()?;
        Some(RouteRelease {
            id: release.id.clone(),
            version: release.target.version,
            split: release.plan.split(release.step, release.begun.is_some()),
        })
    }

    /// What there is to say about the newest release.
    pub(super) fn release_words(&self) -> Option<String> {
        let release = self.latest().filter(|_| !self.row.deleting)?;
        let version = release.target.version;
        match release.state {
            ReleaseState::RolledBack if version != self.row.desired.version => {
                let reason = release.reason.as_deref().unwrap_or("it was not good enough");
                Some(format!("version {version} was taken back: {reason}"))
            }
            ReleaseState::Running | ReleaseState::Paused => {
                let split = release.plan.split(release.step, release.begun.is_some());
                let gets = if split.copies > 0 {
                    format!("copies of {} % of the requests", split.copies)
                } else {
                    format!("{} % of the requests", split.percent)
                };
                let paused = if release.state == ReleaseState::Paused {
                    ", paused"
                } else {
                    ""
                };
                Some(format!("version {version} is let out and gets {gets}{paused}"))
            }
            _ => None,
        }
    }
}

/// The endpoint after a release is complete, as it was stored.
fn taken_over(row: &EndpointRow, release: &ReleaseRow, now: Timestamp) -> EndpointRow {
    let target = release.target.clone();
    EndpointRow {
        desired: Desired {
            reference: target.reference,
            model: target.model,
            version: target.version,
            files: target.files,
            flavor: target.flavor,
            allow_pickle: target.allow_pickle,
            ..row.desired.clone()
        },
        generation: row.generation + 1,
        crashes: 0,
        last_crash: Timestamp::default(),
        updated: now,
        deployed_by: release.by.clone(),
        ..row.clone()
    }
}

/// What a resolved model would make of what the endpoint should be.
pub(super) fn followed(current: &Desired, model: DeployedModel, flavor: corliss_types::Flavor) -> Desired {
    Desired {
        model: model.model,
        version: model.version,
        files: model.files,
        flavor,
        ..current.clone()
    }
}

/// That replicas of a version ended by themselves so often, and how the last one did.
fn crashed(crashes: u32, version: u32, last: Option<&Failure>) -> String {
    let what = match last {
        Some(last) if last.was_ready => format!(
            "{} of version {version} ended by themselves in a row",
            counted(crashes, "replica", "replicas")
        ),
        _ => format!(
            "{} of version {version} failed in a row",
            counted(crashes, "start", "starts")
        ),
    };
    match last {
        Some(last) => format!("{what}: {}", last.reason),
        None => what,
    }
}

fn words(old: u32, breach: &Breach) -> String {
    match breach {
        Breach::Crashes { crashes } => format!("{} failed in a row", counted(*crashes, "start", "starts")),
        Breach::Errors {
            errors,
            requests,
            limit_bp,
            beside,
        } => {
            let beside = beside.map_or_else(String::new, |(errors, requests)| {
                format!("; of version {old} {errors} of {requests} got none")
            });
            format!(
                "{errors} of {} got no answer, where {} % are allowed{beside}",
                counted(*requests, "request", "requests"),
                percent(*limit_bp)
            )
        }
        Breach::Slow {
            what,
            slow,
            requests,
            limit_us,
            p99_us,
            beside_p99_us,
        } => {
            let what = match what {
                Timed::Latency => "took",
                Timed::FirstToken => "waited for the first of their answer for",
            };
            let beside =
                beside_p99_us.map_or_else(String::new, |p99| format!("; of version {old} {}", millis(p99)));
            format!(
                "99 of 100 requests {what} up to {}, where {} are allowed ({slow} of {requests} took longer){beside}",
                millis(*p99_us),
                millis(*limit_us)
            )
        }
    }
}

/// Hundredths of a percent as percent.
fn percent(bp: u32) -> String {
    let (whole, rest) = (bp / 100, bp % 100);
    let text = format!("{whole}.{rest:02}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn millis(us: u64) -> String {
    if us < 10_000 {
        format!("{}.{} ms", us / 1_000, us % 1_000 / 100)
    } else {
        format!("{} ms", us / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_and_ended_is_no_start_that_failed() {
        let failure = |was_ready| Failure {
            reason: "it was killed by signal 9".to_owned(),
            was_ready,
        };
        assert_eq!(
            crashed(3, 2, Some(&failure(true))),
            "3 replicas of version 2 ended by themselves in a row: it was killed by signal 9"
        );
        assert_eq!(
            crashed(3, 2, Some(&failure(false))),
            "3 starts of version 2 failed in a row: it was killed by signal 9"
        );
    }

    #[test]
    fn a_breach_is_told_with_what_was_seen() {
        let errors = Breach::Errors {
            errors: 12,
            requests: 50,
            limit_bp: 250,
            beside: Some((0, 900)),
        };
        assert_eq!(
            words(1, &errors),
            "12 of 50 requests got no answer, where 2.5 % are allowed; of version 1 0 of 900 got none"
        );
        let slow = Breach::Slow {
            what: Timed::Latency,
            slow: 7,
            requests: 60,
            limit_us: 200_000,
            p99_us: 9_400,
            beside_p99_us: None,
        };
        assert_eq!(
            words(1, &slow),
            "99 of 100 requests took up to 9.4 ms, where 200 ms are allowed (7 of 60 took longer)"
        );
        assert_eq!(
            (percent(100), percent(5), percent(10_000)),
            ("1".to_owned(), "0.05".to_owned(), "100".to_owned())
        );
    }
}
