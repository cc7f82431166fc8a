//! Native routes: `/session`, `/tokens`, `/audit`.

mod audit;
mod session;
mod tokens;

use std::sync::Arc;

use corliss_http::Routes;

use crate::Security;

impl Security {
    /// The routes of this capability. `secure` says that the listener speaks TLS, so that the session's
    /// cookie may be kept to it.
    #[must_use]
    pub fn routes(self: &Arc<Self>, secure: bool) -> Routes {
        session::routes(self, secure)
            .merge(tokens::routes(self))
            .merge(audit::routes(self))
    }
}
