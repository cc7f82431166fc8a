//! Limits, with defaults that suit one machine.

use std::time::Duration;

/// Limits of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayConfig {
    /// Requests that one endpoint may work on at once; more are answered 429.
    pub concurrent_max: usize,
    /// How long a tensor inference may take.
    pub infer_timeout: Duration,
    /// How long a generation may take from its first to its last token.
    pub generate_timeout: Duration,
    /// How long a generation may be silent: waiting for its first token, or between two.
    pub silence_timeout: Duration,
    /// Bytes of a chat or completion request.
    pub prompt_max_bytes: u64,
    /// Bytes of a tensor request.
    pub tensor_max_bytes: u64,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            concurrent_max: 512,
            infer_timeout: Duration::from_secs(60),
            generate_timeout: Duration::from_secs(600),
            silence_timeout: Duration::from_secs(120),
            prompt_max_bytes: 4 * 1024 * 1024,
            tensor_max_bytes: 64 * 1024 * 1024,
        }
    }
}
