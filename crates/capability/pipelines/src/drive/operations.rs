//! What drivers have done for them while they go on deciding, and how its end is told.

use std::collections::BTreeMap;

use corliss_types::{AttemptNumber, JobId, VersionId};

use super::prepare::PrepareFailure;
use super::release::Released;
use crate::error::PipelinesError;

/// Something to do once what was decided is stored.
#[derive(Debug)]
pub(super) enum Launch {
    /// Lay out an attempt and submit its job. `fresh`: the attempt was recorded just now, so no job of it
    /// can exist; otherwise it is looked for first.
    Prepare {
        step: usize,
        attempt: AttemptNumber,
        fresh: bool,
    },
    Publish {
        step: usize,
        attempt: AttemptNumber,
    },
    CancelJob {
        step: usize,
        job: JobId,
    },
    Close {
        step: usize,
    },
    Release,
}

/// The end of such a thing.
pub(super) enum Done {
    Prepared {
        step: usize,
        attempt: AttemptNumber,
        job: Result<JobId, PrepareFailure>,
    },
    Published {
        step: usize,
        attempt: AttemptNumber,
        outputs: Result<BTreeMap<String, VersionId>, PipelinesError>,
    },
    CancelSent {
        step: usize,
        result: Result<(), PipelinesError>,
    },
    Closed {
        step: usize,
        result: Result<(), PipelinesError>,
    },
    Released(Result<Released, PipelinesError>),
}
