//! Settings of the capability.

use std::path::PathBuf;

/// What pipelines are told at start.
#[derive(Debug, Clone)]
pub struct PipelinesConfig {
    /// Folder for the work of runs: `<work>/<run>/<step>/…`. Made if missing.
    pub work: PathBuf,
    /// Address under which tasks reach this server, such as `http://127.0.0.1:7070`.
    pub url: String,
    /// PEM file with the private authority that signed this server's certificate, if it is a private one.
    pub ca: Option<PathBuf>,
    /// Most attempts of one run in progress at once.
    pub live_limit: u32,
}

impl PipelinesConfig {
    /// The default bound on attempts in progress: enough to fill a large machine, while a fan-out of
    /// thousands neither floods the queue nor the disk with work folders.
    pub const LIVE_LIMIT: u32 = 256;

    /// The usual settings.
    #[must_use]
    pub fn new(work: PathBuf, url: String) -> Self {
        Self {
            work,
            url,
            ca: None,
            live_limit: Self::LIVE_LIMIT,
        }
    }
}
