//! What services elsewhere speak.

use crate::named::named_enum;

named_enum!(
    /// What a service speaks that stands behind an endpoint in place of engines of ours.
    ServiceDialect {
        /// OpenAI's API: chats, completions, responses, embeddings.
        OpenAi = "openai",
        /// The Open Inference Protocol, version 2: tensors.
        OpenInference = "open_inference",
    }
);
