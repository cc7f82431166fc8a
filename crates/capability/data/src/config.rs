//! How much of everything is accepted.

/// Limits of the data capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files of one version.
    pub files: usize,
    /// Bytes of one file that is sent over HTTP.
    pub blob_bytes: u64,
    /// Nodes of one lineage answer.
    pub lineage_nodes: usize,
    /// Steps away from the node asked for.
    pub lineage_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            files: 100_000_000,
            blob_bytes: 64 << 30,
            lineage_nodes: 1_000,
            lineage_depth: 64,
        }
    }
}

/// Bytes of the message that goes with a version.
pub(crate) const MESSAGE_MAX_BYTES: usize = 2_000;
/// How often a file that keeps changing is read again before it is given up.
pub(crate) const READ_ATTEMPTS: u32 = 4;
