//! What would become of a project file if it were submitted now: its problems, or how each step would stand.

use corliss_types::{Principal, Timestamp};
use serde::Serialize;

use super::Pipelines;
use crate::error::PipelinesError;
use crate::ports::{JobOutlook, JobTimes, JobWish};
use crate::project_file::{Problem, ProjectFile, Step};

/// What would become of a project file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Foreseen {
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
    /// Its steps, where nothing is.
    pub steps: Vec<ForeseenStep>,
}

/// What would become of a step, unless an earlier result stands in for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForeseenStep {
    /// Its name.
    pub step: String,
    /// Steps that it comes after.
    pub after: Vec<String>,
    /// What would become of its job, where it comes after none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobOutlook>,
}

impl Pipelines {
    /// Every problem of a project file, or what would become of its steps if it were submitted now. Nothing is.
    ///
    /// # Errors
    /// If the machine's size or its queues cannot be told.
    pub async fn foresee(
        &self,
        project_file: &str,
        begin: Option<Timestamp>,
        submitter: &Principal,
    ) -> Result<Foreseen, PipelinesError> {
        let file = match self.parse(project_file).await {
            Ok(file) => file,
            Err(PipelinesError::ProjectFile { problems }) => {
                return Ok(Foreseen {
                    problems,
                    steps: Vec::new(),
                });
            }
            Err(error) => return Err(error),
        };
        let first = file.steps.iter().filter(|step| step.upstream.is_empty());
        let now = self.context.sources.clock.now();
        let wish = |step| wish(&file, step, submitter, JobTimes::of(&step.queueing, now, begin));
        let wishes: Vec<JobWish> = first.map(wish).collect();
        let mut outlooks = self.context.ports.jobs.foresee(wishes).await?.into_iter();
        let steps = file.steps.iter().map(|step| ForeseenStep {
            step: step.name.clone(),
            after: step
                .upstream
                .iter()
                .map(|place| file.steps[*place].name.clone())
                .collect(),
            job: if step.upstream.is_empty() {
                outlooks.next()
            } else {
                None
            },
        });
        Ok(Foreseen {
            problems: Vec::new(),
            steps: steps.collect(),
        })
    }
}

fn wish(file: &ProjectFile, step: &Step, submitter: &Principal, times: JobTimes) -> JobWish {
    JobWish {
        name: format!("{}/{}", file.project, step.name),
        workers: step.workers,
        resources: step.resources,
        timeout_ms: step.timeout_ms,
        queueing: step.queueing.clone(),
        times,
        user: submitter.name.clone(),
    }
}
