//! The dialects.

mod limits;
mod native;
mod oip;
mod openai;
mod origin;
mod rows;

use std::sync::Arc;

use corliss_http::Routes;

use crate::ports::Repository;
use crate::service::Gateway;

impl Gateway {
    /// The routes of this capability: OpenAI and KServe's version 1 under `/v1`, the Open Inference
    /// Protocol under `/v2` and over gRPC, MLflow's scoring under `/endpoints`, and our own.
    #[must_use]
    pub fn routes(self: &Arc<Self>, repository: Arc<dyn Repository>) -> Routes {
        openai::routes(self)
            .merge(oip::routes(self, repository))
            .merge(rows::routes(self))
            .merge(native::routes(self))
            .merge(limits::routes(self))
    }
}
