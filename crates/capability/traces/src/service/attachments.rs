//! Attachments: files that a client keeps beside a trace because they are too large or too binary for a span.

use super::{ARTIFACTS_TAG, Traces};
use crate::TracesError;
use crate::ports::ByteStream;

/// The folder of attachments among a trace's files.
const ATTACHMENTS: &str = "attachments";

impl Traces {
    /// An attachment of a trace: its size in bytes, and they.
    ///
    /// # Errors
    /// There is no such trace, or it has no such attachment.
    pub async fn attachment(&self, trace_id: String, name: &str) -> Result<(u64, ByteStream), TracesError> {
        let info = self.info(trace_id.clone()).await?;
        let plain = !name.is_empty() && !name.contains(['/', '\\']) && !matches!(name, "." | "..");
        let found = match info.tags.get(ARTIFACTS_TAG).filter(|_| plain) {
            Some(location) => {
                self.files
                    .open(&format!("{location}/{ATTACHMENTS}/{name}"))
                    .await?
            }
            None => None,
        };
        found.ok_or_else(|| {
            TracesError::NotFound(format!("Trace with ID '{trace_id}' has no attachment '{name}'."))
        })
    }
}
