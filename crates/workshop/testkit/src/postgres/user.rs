//! Who the server runs as: PostgreSQL refuses root.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Gid, Uid, chown};

/// The server's user; None if it is ours.
pub(super) struct User(Option<(Uid, Gid)>);

impl User {
    /// Ourselves, or if we are root the user that PostgreSQL's package made, else `nobody`.
    pub(super) fn for_server() -> Self {
        if !Uid::effective().is_root() {
            return Self(None);
        }
        let named = |name| nix::unistd::User::from_name(name).ok().flatten();
        let user = named("postgres").or_else(|| named("nobody"));
        let user =
            user.expect("root runs the tests, and there is no user 'postgres' or 'nobody' for PostgreSQL");
        Self(Some((user.uid, user.gid)))
    }

    /// Whoever runs the tests.
    pub(super) fn us() -> Self {
        Self(None)
    }

    pub(super) fn run_as(&self, command: &mut Command) {
        if let Some((uid, gid)) = self.0 {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
    }

    pub(super) fn own(&self, path: &Path) {
        if let Some((uid, gid)) = self.0 {
            chown(path, Some(uid), Some(gid)).expect("root may change owners");
        }
    }
}
