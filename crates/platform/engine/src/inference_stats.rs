//! How often and how long tensors were worked on, in the terms of the Open Inference Protocol's statistics.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often something was done, and how long it took altogether.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Took {
    /// How often.
    pub count: u64,
    /// Nanoseconds altogether.
    pub ns: u64,
}

impl Took {
    /// Once more, this long.
    pub fn add(&mut self, duration: Duration) {
        self.merge(Self {
            count: 1,
            ns: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
        });
    }

    /// What another engine did, too.
    pub fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.ns = self.ns.saturating_add(other.ns);
    }
}

/// The three parts of a run of the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ComputeStats {
    /// Joining and padding inputs.
    pub input: Took,
    /// The model itself.
    pub infer: Took,
    /// Taking outputs apart.
    pub output: Took,
}

impl ComputeStats {
    /// What another engine did, too.
    pub fn merge(&mut self, other: Self) {
        self.input.merge(other.input);
        self.infer.merge(other.infer);
        self.output.merge(other.output);
    }
}

/// What an ONNX engine did since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InferenceStats {
    /// Rows computed; a request to a model without rows counts as one.
    pub inferences: u64,
    /// Runs of the model; one that joined several requests counts once.
    pub executions: u64,
    /// When the last request was answered, in milliseconds since 1970; 0 before the first.
    pub last_ms: u64,
    /// Requests answered, from their arrival to their answer.
    pub success: Took,
    /// Requests that failed.
    pub fail: Took,
    /// Waiting of the requests that were answered.
    pub queue: Took,
    /// Each answered request's share in time: the whole of the batch that it was in.
    pub compute: ComputeStats,
    /// Runs by rows, each counted once.
    pub batches: BTreeMap<u32, ComputeStats>,
}

impl InferenceStats {
    /// What another engine did, too.
    pub fn merge(&mut self, other: &Self) {
        self.inferences = self.inferences.saturating_add(other.inferences);
        self.executions = self.executions.saturating_add(other.executions);
        self.last_ms = self.last_ms.max(other.last_ms);
        self.success.merge(other.success);
        self.fail.merge(other.fail);
        self.queue.merge(other.queue);
        self.compute.merge(other.compute);
        for (rows, stats) in &other.batches {
            self.batches.entry(*rows).or_default().merge(*stats);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_engines_add_up() {
        let one = |rows: u32, ns: u64| {
            let mut stats = InferenceStats {
                inferences: u64::from(rows),
                executions: 1,
                last_ms: ns,
                ..InferenceStats::default()
            };
            stats.success.add(Duration::from_nanos(ns));
            stats
                .batches
                .entry(rows)
                .or_default()
                .infer
                .add(Duration::from_nanos(ns));
            stats
        };
        let mut sum = one(4, 10);
        sum.merge(&one(4, 5));
        sum.merge(&one(1, 1));
        assert_eq!((sum.inferences, sum.executions, sum.last_ms), (9, 3, 10));
        assert_eq!(sum.success, Took { count: 3, ns: 16 });
        assert_eq!(sum.batches[&4].infer, Took { count: 2, ns: 15 });
        assert_eq!(sum.batches[&1].infer, Took { count: 1, ns: 1 });
    }
}
