//! What can be wrong with a webhook before anything is sent. What goes wrong with sending is an
//! [`Outcome`](crate::Outcome), not an error.

use std::net::IpAddr;

use corliss_diagnostics::{Diagnose, Meaning};

/// A webhook that cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The address is none that can be sent to.
    #[error("the address {problem}")]
    BadUrl {
        /// What is wrong with it. It is not repeated: it may hold a token.
        problem: String,
    },
    /// The address is one that must not be reached.
    #[error("{address} is an address of this machine or of a private network")]
    Forbidden {
        /// Where it leads.
        address: IpAddr,
    },
    /// The secret is none.
    #[error("the secret {problem}")]
    BadSecret {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An entry of the list of allowed receivers is neither address, network nor name.
    #[error("'{entry}' is neither an IP address, a network such as 10.0.0.0/8, nor a host name")]
    BadAllow {
        /// The entry.
        entry: String,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoRandomness,
}

impl Diagnose for WebhookError {
    fn code(&self) -> &'static str {
        match self {
            Self::BadUrl { .. } => "webhook_url_invalid",
            Self::Forbidden { .. } => "webhook_address_forbidden",
            Self::BadSecret { .. } => "webhook_secret_invalid",
            Self::BadAllow { .. } => "webhook_allow_invalid",
            Self::NoRandomness => "webhook_no_randomness",
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::NoRandomness => Meaning::Internal,
            _ => Meaning::InvalidInput,
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::BadUrl { .. } | Self::Forbidden { .. } => Some("url".to_owned()),
            Self::BadSecret { .. } => Some("secret".to_owned()),
            Self::BadAllow { .. } => Some("webhooks.allow".to_owned()),
            Self::NoRandomness => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Forbidden { .. } => Some(ALLOW_HINT.to_owned()),
            Self::BadSecret { .. } => {
                Some("leave it out to have one made, or write whsec_ and 24 to 64 bytes in base64".to_owned())
            }
            _ => None,
        }
    }
}

/// What to do where an address may not be reached.
pub(crate) const ALLOW_HINT: &str =
    "an administrator may name it under `allow` in the section [webhooks] of config.toml";
