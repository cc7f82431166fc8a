//! Values put together in groups, where the store cannot do it.

use std::collections::BTreeMap;

use crate::store::{MetricGroup, interpolated};

/// Groups by time and then by what they have in common, which is their order.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<(i64, Vec<String>), Values>,
    /// The values themselves are needed, not only their sums.
    keep: bool,
}

#[derive(Debug, Default)]
struct Values {
    count: i64,
    sum: f64,
    min: f64,
    max: f64,
    all: Vec<f64>,
}

impl Groups {
    pub(super) fn new(keep: bool) -> Self {
        Self {
            groups: BTreeMap::new(),
            keep,
        }
    }

    pub(super) fn add(&mut self, bucket_ms: i64, dimensions: Vec<String>, value: f64) {
        let values = self.groups.entry((bucket_ms, dimensions)).or_insert(Values {
            min: value,
            max: value,
            ..Values::default()
        });
        values.count += 1;
        values.sum += value;
        values.min = values.min.min(value);
        values.max = values.max.max(value);
        if self.keep {
            values.all.push(value);
        }
    }

    pub(super) fn page(self, percents: &[f64], (limit, offset): (i64, i64)) -> Vec<MetricGroup> {
        let index = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        let page = self.groups.into_iter().skip(index(offset)).take(index(limit));
        page.map(|((bucket_ms, dimensions), mut values)| {
            values.all.sort_unstable_by(f64::total_cmp);
            MetricGroup {
                bucket_ms,
                dimensions,
                count: values.count,
                sum: Some(values.sum),
                min: Some(values.min),
                max: Some(values.max),
                percentiles: percents
                    .iter()
                    .filter_map(|percent| {
                        let (place, part) = place_of(*percent, values.all.len());
                        let low = values.all.get(place)?;
                        Some(interpolated(
                            *low,
                            *values.all.get(place + 1).unwrap_or(low),
                            part,
                        ))
                    })
                    .collect(),
            }
        })
        .collect()
    }
}

/// The place of a percentile among so many values in order: the one at or before it, and how far it is to the next.
fn place_of(percent: f64, count: usize) -> (usize, f64) {
    let place = percent / 100.0 * count.saturating_sub(1) as f64;
    (place.floor() as usize, place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_the_values_around_them() {
        let mut groups = Groups::new(true);
        for value in [2.5, 0.0, 1.0, 0.5, 2.0, 1.5] {
            groups.add(0, vec!["a".into()], value);
        }
        groups.add(0, vec!["b".into()], 7.0);
        let found = groups.page(&[0.0, 50.0, 90.0, 100.0], (10, 0));
        assert_eq!(found[0].percentiles, [0.0, 1.25, 2.25, 2.5]);
        assert_eq!(
            (found[0].count, found[0].sum, found[0].min, found[0].max),
            (6, Some(7.5), Some(0.0), Some(2.5))
        );
        assert_eq!(found[1].percentiles, [7.0; 4]);
    }
}
