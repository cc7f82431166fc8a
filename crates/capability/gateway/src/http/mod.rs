//! The dialects.

mod limits;
mod native;
mod oip;
mod openai;
mod origin;

use std::sync::Arc;

use corliss_http::Routes;

use crate::service::Gateway;

impl Gateway {
    /// The routes of this capability: OpenAI under `/v1`, the Open Inference Protocol under `/v2`, and our own.
    #[must_use]
    pub fn routes(self: &Arc<Self>) -> Routes {
        openai::routes(self)
            .merge(oip::routes(self))
            .merge(native::routes(self))
            .merge(limits::routes(self))
    }
}
