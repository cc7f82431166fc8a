//! Starting pushes, pulls and clones, and what can be seen of the remotes that they are with.

use corliss_types::DatasetName;

use super::DataService;
use super::operations::{Kind, Operation, Outcome, Subject};
use crate::DataError;
use crate::remote::RemoteInfo;
use crate::types::Transfer;

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// A push, pull or clone.
    pub kind: Kind,
    pub remote: String,
    pub transfer: Transfer,
    /// The caller's name.
    pub author: String,
}

impl DataService {
    /// Starts a transfer in the background.
    ///
    /// # Errors
    /// There is no such remote, or the dataset is being transferred that way already.
    pub(crate) fn start_transfer(&self, start: Start) -> Result<Operation, DataError> {
        self.remotes.check(&start.remote)?;
        let subject = Subject {
            kind: start.kind,
            dataset: Some(start.transfer.dataset.clone()),
            remote: Some(start.remote.clone()),
            source: None,
        };
        self.start(subject, move |service, counters| async move {
            let Start {
                kind,
                remote,
                transfer,
                author,
            } = start;
            let done = match kind {
                Kind::Push => service.push(&remote, &transfer, &counters).await,
                Kind::Clone => {
                    service
                        .clone_dataset(&remote, &transfer, &author, &counters)
                        .await
                }
                _ => service.pull(&remote, &transfer, &author, &counters).await,
            };
            done.map(Outcome::Transfer)
        })
    }

    /// The remotes that are configured.
    pub(crate) fn remote_list(&self) -> Vec<RemoteInfo> {
        self.remotes.list()
    }

    /// Datasets of a remote by name.
    ///
    /// # Errors
    /// There is no such remote, or it failed.
    pub(crate) async fn remote_datasets(
        &self,
        remote: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<DatasetName>, DataError> {
        let remote = self.remotes.open(remote).await?;
        remote.datasets(after, limit).await
    }
}
