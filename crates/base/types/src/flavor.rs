//! What kind of model a folder holds.

use crate::named::named_enum;

named_enum!(
    /// The kind of a model, decided by the files in its folder; it decides which engine serves it.
    Flavor {
        /// An ONNX graph.
        Onnx = "onnx",
        /// A language model as GGUF.
        Gguf = "gguf",
        /// A model that MLflow logged for Python.
        Pyfunc = "pyfunc",
        /// Anything else: kept and handed out, not served.
        Other = "other",
    }
);
