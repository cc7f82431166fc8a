//! Collecting a folder or bucket: what no name there leads to.

use std::time::Duration;

use corliss_blobstore::Progress;

use super::super::operations::{Kind, Operation, Outcome, Subject};
use super::super::push::ATTEMPTS;
use super::CollectWish;
use crate::remote::{RemoteCollectWish, RemoteCollected};
use crate::{DataError, DataService};

impl DataService {
    /// Starts a collection of a remote in the background.
    ///
    /// # Errors
    /// There is no such remote, or a collection or check was started and runs.
    pub(crate) fn start_collect_remote(
        &self,
        remote: String,
        wish: CollectWish,
    ) -> Result<Operation, DataError> {
        self.remotes.check(&remote)?;
        let subject = Subject {
            remote: Some(remote.clone()),
            ..Subject::of_all(Kind::Collect)
        };
        self.start(subject, move |service, counters| async move {
            let progress = |progress| counters.upkeep(progress);
            let wish = RemoteCollectWish {
                grace: Duration::from_secs(wish.grace_seconds),
                dry_run: wish.dry_run,
                ..RemoteCollectWish::default()
            };
            let collected = service.collect_remote(&remote, wish, &progress).await;
            collected.map(Outcome::CollectRemote)
        })
    }

    /// Removes from a folder or bucket what no branch or tag there leads to, in two steps with a time between them.
    /// Others may push to it and pull from it meanwhile. Whole histories of names stay, whatever datasets keep here.
    ///
    /// # Errors
    /// There is no such remote, it is a server, somebody else collects it, or it failed. What was done so far is safe.
    pub async fn collect_remote(
        &self,
        remote: &str,
        wish: RemoteCollectWish,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<RemoteCollected, DataError> {
        for attempt in 1.. {
            let wish = RemoteCollectWish {
                owner: self.new_owner(),
                now: self.now(),
                ..wish.clone()
            };
            let opened = self.remotes.open(remote).await?;
            match opened.collect(&wish, progress).await {
                // Another server has collected it since it was opened.
                Err(DataError::Remote { trouble, .. }) if trouble.begins_anew() && attempt < ATTEMPTS => {}
                done => return done,
            }
        }
        Err(DataError::Busy)
    }
}
