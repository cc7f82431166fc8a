//! Releases as shown, and what people say about them while they go on.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use corliss_policy_serving::release::{self, Counts, Decision, Next, Progress};
use corliss_types::{ReleaseId, Timestamp};

use super::Serving;
use crate::ServingError;
use crate::services::get_service;
use crate::store::{self, EndpointRow, ReleaseRow, ReplicaRow};
use crate::types::{ReleaseState, ReleaseView, ReplicaPhase, StepView, VersionView};

/// What versions had done when their release, and its step, began. It is lost with the server, and so are the counters
/// that it is compared with: after a restart both are counted anew.
#[derive(Default)]
pub(crate) struct Baselines(Mutex<BTreeMap<ReleaseId, Baseline>>);

#[derive(Debug, Clone)]
struct Baseline {
    old: Counts,
    new: Counts,
}

/// What the versions of a release did: the old one since it began, the new one since its step did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Compared {
    pub(crate) old: Counts,
    pub(crate) new: Counts,
}

impl Baselines {
    fn get(&self, id: &ReleaseId) -> Option<Baseline> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    fn set(&self, id: &ReleaseId, baseline: Baseline) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(id.clone(), baseline);
    }

    /// Forgets those of all other releases.
    pub(crate) fn keep(&self, active: &[&ReleaseId]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|id, _| active.contains(&id));
    }
}

/// A person's word about a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// The new version takes the old one's place now.
    Promote,
    /// The new version goes away.
    RollBack,
    /// It stays as it is.
    Pause,
    /// It goes on.
    Resume,
}

impl Serving {
    /// Releases of an endpoint, newest first.
    pub async fn releases(&self, name: &str) -> Result<Vec<ReleaseView>, ServingError> {
        let owned = name.to_owned();
        let (endpoint, rows, mut replicas) = self
            .parts
            .store
            .read(move |tx| {
                let endpoint = store::get_endpoint(tx, &owned)?;
                if endpoint.is_none() && get_service(tx, &owned)?.is_some() {
                    return Err(ServingError::Invalid {
                        field: "name".to_owned(),
                        problem: format!(
                            "'{owned}' is answered by a service elsewhere, which has no releases"
                        ),
                    });
                }
                let rows = store::list_releases(tx, &owned)?;
                Ok::<_, ServingError>((endpoint, rows, store::live_replicas(tx)?))
            })
            .await?;
        let Some(endpoint) = endpoint else {
            return Err(self.not_found(name).await);
        };
        let replicas = replicas.remove(name).unwrap_or_default();
        let view = |row| self.release_view(row, &endpoint, &replicas);
        Ok(rows.into_iter().map(view).collect())
    }

    /// One of them.
    pub async fn release(&self, name: &str, id: &str) -> Result<ReleaseView, ServingError> {
        let found = self
            .releases(name)
            .await?
            .into_iter()
            .find(|one| one.id.as_str() == id);
        found.ok_or_else(|| release_not_found(name, id))
    }

    /// Does what `by` says about a release that goes on. Said again it changes nothing.
    pub async fn tell_release(
        &self,
        name: &str,
        id: &str,
        word: Word,
        by: &str,
    ) -> Result<ReleaseView, ServingError> {
        // The endpoint is looked for first, so that one that is misspelt is told as that.
        self.release(name, id).await?;
        let (owned, asked, by) = (name.to_owned(), id.to_owned(), by.to_owned());
        let (now, done) = (self.parts.sources.clock.now(), self.done_now(name).await?);
        self.parts
            .store
            .write(move |tx| {
                let found = store::newest_release(tx, &owned)?.filter(|row| row.id.as_str() == asked);
                let endpoint = store::get_endpoint(tx, &owned)?;
                let (Some(mut row), Some(endpoint)) = (found, endpoint) else {
                    return Err(ServingError::ReleaseEnded {
                        id: asked.clone(),
                        state: "not the newest one",
                    });
                };
                if row.state.has_ended() {
                    return ended_as_said(&row, word);
                }
                let state = match word {
                    Word::Pause => ReleaseState::Paused,
                    Word::Resume => ReleaseState::Running,
                    Word::RollBack => ReleaseState::RolledBack,
                    Word::Promote => ReleaseState::Completed,
                };
                if state == row.state {
                    return Ok(());
                }
                if state.has_ended() {
                    row.steps.push(step_view(&row, &done, now));
                }
                row.reason = said(word, &by);
                row.state = state;
                let stored = if word == Word::Promote {
                    store::complete_release(tx, &endpoint, &row, now)?
                } else {
                    store::update_release(tx, &row, now)?
                };
                if stored {
                    Ok(())
                } else {
                    Err(ServingError::ReleaseChanged { id: asked.clone() })
                }
            })
            .await?;
        self.wake.signal();
        self.release(name, id).await
    }

    async fn done_now(&self, name: &str) -> Result<Compared, ServingError> {
        let owned = name.to_owned();
        let row = self
            .parts
            .store
            .read(move |tx| Ok::<_, ServingError>(store::newest_release(tx, &owned)?))
            .await?;
        Ok(row.map(|row| self.compared(&row)).unwrap_or_default())
    }

    /// What both versions did. Where nothing was noted yet, nothing.
    fn compared(&self, row: &ReleaseRow) -> Compared {
        let Some(before) = self.baselines.get(&row.id) else {
            return Compared::default();
        };
        let Baseline { old, new } = self.now_done(row);
        Compared {
            old: old.since(&before.old),
            new: new.since(&before.new),
        }
    }

    /// As [`Self::compared`], and begins to count where that has not begun.
    pub(crate) fn compare(&self, row: &ReleaseRow) -> Compared {
        if self.baselines.get(&row.id).is_none() {
            self.baselines.set(&row.id, self.now_done(row));
        }
        self.compared(row)
    }

    /// The new version is counted anew.
    pub(crate) fn count_anew(&self, row: &ReleaseRow) {
        let now = self.now_done(row);
        let old = self.baselines.get(&row.id).map_or(now.old, |before| before.old);
        self.baselines.set(&row.id, Baseline { old, new: now.new });
    }

    fn now_done(&self, row: &ReleaseRow) -> Baseline {
        let traffic = &self.parts.traffic;
        Baseline {
            old: traffic.done(&row.endpoint, row.from).counts,
            new: traffic.done(&row.endpoint, row.target.version).counts,
        }
    }

    /// The decision about a release that goes on.
    pub(crate) fn decide_release(
        &self,
        row: &ReleaseRow,
        endpoint: &EndpointRow,
        replicas: &[ReplicaRow],
        done: &Compared,
    ) -> Decision {
        release::decide(&release::View {
            now: self.parts.sources.clock.now(),
            plan: &row.plan,
            progress: Progress {
                step: row.step,
                begun: row.begun,
                paused: row.state == ReleaseState::Paused,
            },
            replicas: endpoint.desired.replicas,
            ready: ready_of(replicas, row.target.version),
            crashes: row.crashes,
            old: &done.old,
            new: &done.new,
        })
    }

    /// A release as shown.
    pub(crate) fn release_view(
        &self,
        row: ReleaseRow,
        endpoint: &EndpointRow,
        replicas: &[ReplicaRow],
    ) -> ReleaseView {
        let split = row.plan.split(row.step, row.begun.is_some());
        let is_active = row.is_active();
        let (mut next, mut versions) = (None, Vec::new());
        if is_active {
            let done = self.compared(&row);
            next = match self.decide_release(&row, endpoint, replicas, &done).next {
                Next::Wait(wait) => Some(wait),
                _ => None,
            };
            let copies = self.parts.traffic.done(&row.endpoint, row.target.version).copies;
            let version = |version, counts: &Counts, copies| VersionView {
                version,
                replicas_ready: ready_of(replicas, version),
                seen: counts.seen(),
                copies,
            };
            versions = vec![
                version(row.from, &done.old, None),
                version(
                    row.target.version,
                    &done.new,
                    (split.copies > 0).then_some(copies),
                ),
            ];
        }
        ReleaseView {
            steps_total: u32::try_from(row.plan.shares().len()).unwrap_or(u32::MAX),
            percent: if is_active { split.percent } else { 0 },
            copies: if is_active { split.copies } else { 0 },
            id: row.id,
            endpoint: row.endpoint,
            model: row.target.reference,
            from_version: row.from,
            from_model: row.from_model,
            to_version: row.target.version,
            to_model: row.target.model,
            plan: row.plan,
            state: row.state,
            step: row.step,
            begun_ms: row.begun,
            next,
            reason: row.reason,
            started_by: row.by,
            versions,
            steps: row.steps,
            created_ms: row.created,
            updated_ms: row.updated,
            ended_ms: row.ended,
        }
    }
}

/// What is kept of a step that ends.
pub(crate) fn step_view(row: &ReleaseRow, done: &Compared, now: Timestamp) -> StepView {
    let split = row.plan.split(row.step, row.begun.is_some());
    StepView {
        step: row.step,
        percent: split.percent,
        copies: split.copies,
        begun_ms: row.begun,
        ended_ms: now,
        old: done.old.seen(),
        new: done.new.seen(),
    }
}

fn ready_of(replicas: &[ReplicaRow], version: u32) -> u32 {
    let ready = replicas
        .iter()
        .filter(|replica| replica.phase == ReplicaPhase::Ready && replica.version == version);
    u32::try_from(ready.count()).unwrap_or(u32::MAX)
}

fn said(word: Word, by: &str) -> Option<String> {
    match word {
        Word::Promote => Some(format!("promoted by {by}")),
        Word::RollBack => Some(format!("rolled back by {by}")),
        Word::Pause => Some(format!("paused by {by}")),
        Word::Resume => None,
    }
}

/// What has ended as it is now told to end needs nothing more.
fn ended_as_said(row: &ReleaseRow, word: Word) -> Result<(), ServingError> {
    match (row.state, word) {
        (ReleaseState::Completed, Word::Promote) | (ReleaseState::RolledBack, Word::RollBack) => Ok(()),
        (state, _) => Err(ServingError::ReleaseEnded {
            id: row.id.to_string(),
            state: match state {
                ReleaseState::Completed => "complete",
                ReleaseState::RolledBack => "rolled back",
                _ => "superseded by another deployment",
            },
        }),
    }
}

fn release_not_found(endpoint: &str, id: &str) -> ServingError {
    ServingError::ReleaseNotFound {
        endpoint: endpoint.to_owned(),
        id: id.chars().take(100).collect(),
    }
}
