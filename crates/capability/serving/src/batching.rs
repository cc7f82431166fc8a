//! How the engines of an endpoint join requests with tensors.

use corliss_engine::{BATCH_ROWS, EngineArgs};
use corliss_types::Flavor;
use serde::{Deserialize, Serialize};

use crate::ServingError;

const ROWS_MAX: u32 = 4096;
const DELAY_US_MAX: u64 = 10_000_000;
const INSTANCES_MAX: u32 = 64;
const PREFERRED_MAX: usize = 16;

/// What is not said is as fits the kind of model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batching {
    /// The most rows of a batch, 1 to 4096; 32 if not said. A model that Python runs, and that nobody knows to compute each row by
    /// itself, is given joined rows only if this is said; 1 joins none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_max: Option<u32>,
    /// How long the first request of a batch waits for others, in microseconds, at most ten seconds; 2000 if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_us: Option<u64>,
    /// Rows at which a batch is closed without waiting for more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub preferred: Vec<u32>,
    /// Copies of the model in each replica that compute at the same time, 1 to 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
}

impl Batching {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn check(&self) -> Result<(), ServingError> {
        let within = |field: &str, value: Option<u64>, least: u64, most: u64| match value {
            Some(value) if !(least..=most).contains(&value) => Err(ServingError::Invalid {
                field: format!("batching.{field}"),
                problem: format!("is {value} but must lie between {least} and {most}"),
            }),
            _ => Ok(()),
        };
        within("rows_max", self.rows_max.map(u64::from), 1, u64::from(ROWS_MAX))?;
        within("delay_us", self.delay_us, 0, DELAY_US_MAX)?;
        within(
            "instances",
            self.instances.map(u64::from),
            1,
            u64::from(INSTANCES_MAX),
        )?;
        if self.preferred.len() > PREFERRED_MAX {
            return Err(ServingError::Invalid {
                field: "batching.preferred".to_owned(),
                problem: format!("has more than {PREFERRED_MAX} sizes"),
            });
        }
        let mut sizes = self.preferred.iter();
        sizes.try_for_each(|size| self.check_preferred(*size))
    }

    /// A batch that is never so large is never closed for being so.
    fn check_preferred(&self, size: u32) -> Result<(), ServingError> {
        let problem = match self.rows_max {
            _ if size == 0 => "is 0 but must be at least 1".to_owned(),
            Some(most) if size > most => {
                format!("is {size}, which no batch reaches: batching.rows_max is {most}")
            }
            None if size as usize > BATCH_ROWS => format!(
                "is {size}, which no batch reaches: batching.rows_max is {BATCH_ROWS} unless it is given"
            ),
            _ => return Ok(()),
        };
        Err(ServingError::Invalid {
            field: "batching.preferred".to_owned(),
            problem,
        })
    }

    /// Refuses what an engine of this kind has no use for: language models join their requests token by token.
    pub(crate) fn check_for(&self, flavor: Flavor) -> Result<(), ServingError> {
        let given = [
            ("rows_max", self.rows_max.is_some()),
            ("delay_us", self.delay_us.is_some()),
            ("preferred", !self.preferred.is_empty()),
            ("instances", self.instances.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((field, _)) if flavor == Flavor::Gguf => Err(ServingError::Invalid {
                field: format!("batching.{field}"),
                problem:
                    "does nothing for a language model, which joins its requests token by token; leave it out"
                        .to_owned(),
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn tell(&self, engine: &mut EngineArgs) {
        engine.max_batch = self.rows_max.unwrap_or(0) as usize;
        engine.batch_delay_us = self.delay_us.unwrap_or(engine.batch_delay_us);
        engine.prefer_batch = self.preferred.iter().map(|rows| *rows as usize).collect();
        engine.instances = self.instances.unwrap_or(0) as usize;
    }
}

#[cfg(test)]
mod tests {
    use corliss_diagnostics::Diagnose;

    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        let said = |text: &str| serde_json::from_str::<Batching>(text).unwrap().check();
        assert!(said("{}").is_ok());
        assert!(said(r#"{"rows_max": 32, "delay_us": 0, "preferred": [8, 32], "instances": 2}"#).is_ok());
        for (text, field) in [
            (r#"{"rows_max": 0}"#, "batching.rows_max"),
            (r#"{"delay_us": 10000001}"#, "batching.delay_us"),
            (r#"{"instances": 65}"#, "batching.instances"),
            (r#"{"rows_max": 8, "preferred": [4, 16]}"#, "batching.preferred"),
            (r#"{"preferred": [0]}"#, "batching.preferred"),
        ] {
            let error = said(text).unwrap_err();
            assert_eq!(error.field().as_deref(), Some(field), "{error}");
        }
    }

    #[test]
    fn a_preferred_size_that_no_batch_reaches_is_told_with_the_most_rows() {
        let said = |text: &str| serde_json::from_str::<Batching>(text).unwrap().check();
        assert!(said(r#"{"preferred": [32]}"#).is_ok());
        assert!(said(r#"{"rows_max": 64, "preferred": [64]}"#).is_ok());
        assert_eq!(
            said(r#"{"preferred": [16, 64]}"#).unwrap_err().to_string(),
            "batching.preferred is 64, which no batch reaches: batching.rows_max is 32 unless it is given"
        );
        assert_eq!(
            said(r#"{"rows_max": 8, "preferred": [16]}"#)
                .unwrap_err()
                .to_string(),
            "batching.preferred is 16, which no batch reaches: batching.rows_max is 8"
        );
    }

    #[test]
    fn what_a_language_model_has_no_use_for_is_named() {
        let said = |text: &str, flavor| {
            let batching: Batching = serde_json::from_str(text).unwrap();
            batching.check_for(flavor).err().and_then(|error| error.field())
        };
        assert_eq!(said("{}", Flavor::Gguf), None);
        for (text, field) in [
            (r#"{"rows_max": 8}"#, "batching.rows_max"),
            (r#"{"delay_us": 0}"#, "batching.delay_us"),
            (r#"{"preferred": [8]}"#, "batching.preferred"),
            (r#"{"instances": 2}"#, "batching.instances"),
        ] {
            assert_eq!(said(text, Flavor::Gguf).as_deref(), Some(field));
            assert_eq!(said(text, Flavor::Onnx), None);
            assert_eq!(said(text, Flavor::Pyfunc), None);
        }
    }
}
