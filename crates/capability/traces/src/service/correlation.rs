//! How much two filters find the same traces: their pointwise mutual information, normalised to between -1 (never
//! together) and 1 (always together).

use std::collections::HashSet;
use std::sync::Arc;

use super::filter::{Wanted, read_filter};
use super::search::passing;
use super::{Traces, apart};
use crate::store::{self, Candidates};
use crate::{TracesError, limits};

/// What to compare.
#[derive(Debug, Clone, Default)]
pub struct CorrelationScope {
    /// Experiments to look in.
    pub experiment_ids: Vec<i64>,
    /// What must hold for all traces that are looked at.
    pub base: String,
    /// The one filter.
    pub first: String,
    /// The other.
    pub second: String,
}

/// How many traces two filters find, and how much they have to do with each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correlation {
    /// Absent where a filter finds nothing.
    pub npmi: Option<f64>,
    /// The same as if each case had been seen half a time more: few traces say less.
    pub smoothed: Option<f64>,
    /// What the first filter finds.
    pub first: i64,
    /// What the second finds.
    pub second: i64,
    /// What both find.
    pub both: i64,
    /// What there is.
    pub total: i64,
}

impl Traces {
    /// Compares what two filters find.
    ///
    /// # Errors
    /// A filter is wrong, or finding what it speaks of means to look into more than a call may.
    pub async fn correlation(&self, scope: CorrelationScope) -> Result<Correlation, TracesError> {
        if scope.experiment_ids.len() > limits::SEARCH_EXPERIMENTS {
            return Err(TracesError::too_many(
                "experiment_ids",
                "experiments",
                limits::SEARCH_EXPERIMENTS,
                "ask for them in several calls",
            ));
        }
        let base = read_filter(&scope.base)?;
        let first = read_filter(&scope.first)?;
        let second = read_filter(&scope.second)?;
        if [&base, &first, &second].iter().any(|wanted| !wanted.is_of_rows()) {
            return self
                .looked_into(scope.experiment_ids, base, [first, second])
                .await;
        }
        self.store
            .read(move |tx| {
                let mut count = |parts: &[&Wanted]| {
                    store::count_candidates(tx, &candidates(&scope.experiment_ids, parts))
                };
                Ok(correlation(
                    count(&[&base, &first])?,
                    count(&[&base, &second])?,
                    count(&[&base, &first, &second])?,
                    count(&[&base])?,
                ))
            })
            .await
    }

    /// The same where a filter speaks of what lies packed, or is a pattern: what each finds is looked for by itself, since
    /// two filters may find one trace by different spans.
    async fn looked_into(
        &self,
        experiment_ids: Vec<i64>,
        base: Wanted,
        [first, second]: [Wanted; 2],
    ) -> Result<Correlation, TracesError> {
        let within = |wanted: &Wanted| Arc::new(candidates(&experiment_ids, &[&base, wanted]));
        let (of_first, of_second) = (within(&first), within(&second));
        let of_base = Arc::new(candidates(&experiment_ids, &[&base]));
        let mut first = self.numbers(of_first, first).await?;
        let mut second = self.numbers(of_second, second).await?;
        let total = if base.is_of_rows() {
            self.store
                .read(move |tx| store::count_candidates(tx, &of_base))
                .await?
        } else {
            let all = self.numbers(of_base, base).await?;
            first.retain(|number| all.contains(number));
            second.retain(|number| all.contains(number));
            all.len() as i64
        };
        let both = first.intersection(&second).count();
        Ok(correlation(
            first.len() as i64,
            second.len() as i64,
            both as i64,
            total,
        ))
    }

    /// The numbers of the candidates that pass the tests of a filter.
    async fn numbers(
        &self,
        candidates: Arc<Candidates>,
        wanted: Wanted,
    ) -> Result<HashSet<i64>, TracesError> {
        if wanted.is_of_rows() {
            return self
                .store
                .read(move |tx| store::candidate_numbers(tx, &candidates))
                .await;
        }
        let wanted = Arc::new(wanted);
        let (mut found, mut at, mut bytes) = (HashSet::new(), 0, 0);
        loop {
            let piece = self
                .piece(Arc::clone(&candidates), Arc::clone(&wanted), at)
                .await?;
            at += piece.heads.len() as i64;
            bytes += piece.bytes;
            let (last, tests) = (piece.last, Arc::clone(&wanted));
            let passed = apart(move || passing(&tests, piece)).await??;
            found.extend(passed.into_iter().map(|(_, head)| head.number));
            if last {
                return Ok(found);
            }
            if at >= limits::SEARCH_EXAMINED || bytes >= limits::SEARCH_BYTES {
                return Err(TracesError::Limit {
                    field: "base_filter",
                    message: format!(
                        "contents of spans and patterns are looked for in {} traces at most, and there are more",
                        limits::SEARCH_EXAMINED
                    ),
                    hint: "say in base_filter which traces are meant, such as those since a time",
                });
            }
        }
    }
}

/// What the store tests of all these filters.
fn candidates(experiment_ids: &[i64], parts: &[&Wanted]) -> Candidates {
    Candidates {
        experiments: experiment_ids.to_vec(),
        filters: parts
            .iter()
            .flat_map(|part| part.filters.iter().cloned())
            .collect(),
        order: Vec::new(),
    }
}

fn correlation(first: i64, second: i64, both: i64, total: i64) -> Correlation {
    let (npmi, smoothed) = if first == 0 || second == 0 {
        (None, None)
    } else if both == total {
        (Some(1.0), Some(1.0))
    } else {
        let exact = [first, second, both, total].map(|count| count as f64);
        // Half a time more for each of the four cases: both, either alone, and neither.
        let smoothed = [exact[0] + 1.0, exact[1] + 1.0, exact[2] + 0.5, exact[3] + 2.0];
        (Some(npmi(exact)), Some(npmi(smoothed)))
    };
    Correlation {
        npmi,
        smoothed,
        first,
        second,
        both,
        total,
    }
}

fn npmi([first, second, both, total]: [f64; 4]) -> f64 {
    if both == 0.0 {
        return -1.0;
    }
    let together = both / total;
    let by_chance = first / total * (second / total);
    ((together / by_chance).ln() / -together.ln()).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_that_mlflow_answers() {
        // Counts and figures as MLflow's server 3.17.2 answered them.
        for ((first, second, both, total), npmi, smoothed) in [
            ((5, 3, 2, 6), -0.203_114_013_575_012_27, -0.156_747_994_548_027_38),
            ((3, 3, 0, 6), -1.0, -0.5),
            ((3, 3, 3, 6), 1.0, 0.676_944_832_112_575_2),
            ((5, 5, 5, 6), 1.0, 0.535_559_657_531_534_4),
            ((2, 3, 2, 3), 0.0, 0.058_893_689_053_568_71),
            ((6, 6, 6, 6), 1.0, 1.0),
        ] {
            let found = correlation(first, second, both, total);
            let near = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-9;
            assert!(
                near(found.npmi, npmi) && near(found.smoothed, smoothed),
                "{found:?}"
            );
        }
        assert_eq!(correlation(0, 3, 0, 6).npmi, None);
        assert_eq!(correlation(0, 0, 0, 0).smoothed, None);
    }
}
