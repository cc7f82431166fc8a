//! How many files and sockets this process may have open: as many as the system lets it, not as many as a shell begins with.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More are never used.
const ENOUGH: u64 = 65_536;

/// Raises the limit as far as is allowed and of use; answers what it is now.
pub(crate) fn raise() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 1024;
    };
    let wanted = soft.max(hard.min(ENOUGH));
    let now = match setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!(%error, soft, wanted, "cannot raise the limit of open files");
            soft
        }
    };
    usize::try_from(now).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_used() {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let raised = raise() as u64;
        assert_eq!(raised, soft.max(hard.min(ENOUGH)));
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (raised, hard));
    }
}
