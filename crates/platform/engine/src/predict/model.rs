//! What a kind of engine brings for a model of tensors.

use std::sync::Arc;

use tract_onnx::prelude::{DatumType, Tensor};

use super::datatype;
use crate::EngineError;
use crate::protocol::TensorMetadata;

/// One input or output as the model declares it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TensorSpec {
    pub name: String,
    pub datum: DatumType,
    /// `None` where any size is taken.
    pub dims: Vec<Option<usize>>,
    /// Whether it is a column of a table: its rows may also come as rows of one cell.
    pub is_column: bool,
}

impl TensorSpec {
    pub fn metadata(&self) -> TensorMetadata {
        let size = |dim: &Option<usize>| dim.and_then(|dim| i64::try_from(dim).ok()).unwrap_or(-1);
        TensorMetadata {
            name: self.name.clone(),
            datatype: datatype::name(self.datum).to_owned(),
            shape: self.dims.iter().map(size).collect(),
        }
    }
}

/// A parameter of requests that the model knows, beside its tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParamSpec {
    pub name: String,
}

/// A tensor that the model gave, by its name.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub name: Arc<str>,
    pub tensor: Tensor,
}

/// A model of tensors. Several threads run it at the same time, each as an instance of its own.
pub(crate) trait Model: Send + Sync {
    /// What it takes, in its order.
    fn inputs(&self) -> &[TensorSpec];
    /// What it gives, in its order; empty if only its answers tell.
    fn outputs(&self) -> &[TensorSpec];
    /// What a request may say beside its tensors.
    fn params(&self) -> &[ParamSpec] {
        &[]
    }
    /// Whether rows along the first axis are independent, so that requests can be joined.
    fn batchable(&self) -> bool;
    /// Whether few sizes of batches are better than exact ones, so that rows of zeros are added.
    fn pads(&self) -> bool;
    /// Runs it. `params` is a JSON object. Inputs are in its order; so are outputs, if it declares any.
    fn run(
        &self,
        instance: usize,
        inputs: Vec<Tensor>,
        params: Option<&str>,
    ) -> Result<Vec<Named>, EngineError>;
    /// Why it cannot go on, if so.
    fn failure(&self) -> Option<String> {
        None
    }
}
