//! Metrics as Prometheus reads them: text format 0.0.4, the samples of a name together.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Metrics being written.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    families: BTreeMap<&'static str, Family>,
}

#[derive(Debug)]
struct Family {
    kind: Kind,
    help: &'static str,
    samples: String,
}

/// Names and values, in the order in which they are written.
pub(super) type Labels<'a> = [(&'static str, &'a str)];

impl Exposition {
    pub(super) fn counter(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &Labels<'_>,
        value: u64,
    ) {
        self.sample((name, Kind::Counter, help), "", labels, None, value);
    }

    pub(super) fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &Labels<'_>,
        value: impl Display,
    ) {
        self.sample((name, Kind::Gauge, help), "", labels, None, value);
    }

    /// `counts` has one more than `bounds`: what is beyond the last.
    pub(super) fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &Labels<'_>,
        bounds: &[f64],
        counts: &[u64],
        sum: f64,
    ) {
        let family = (name, Kind::Histogram, help);
        let mut below = 0;
        for (place, count) in counts.iter().enumerate() {
            below += count;
            let bound = bounds
                .get(place)
                .map_or_else(|| "+Inf".to_owned(), f64::to_string);
            self.sample(family, "_bucket", labels, Some(&bound), below);
        }
        self.sample(family, "_sum", labels, None, sum);
        self.sample(family, "_count", labels, None, below);
    }

    fn sample(
        &mut self,
        (name, kind, help): (&'static str, Kind, &'static str),
        suffix: &str,
        labels: &Labels<'_>,
        bound: Option<&str>,
        value: impl Display,
    ) {
        let family = self.families.entry(name).or_insert_with(|| Family {
            kind,
            help,
            samples: String::new(),
        });
        let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let labels: Vec<String> = all
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        // Writing to a text cannot fail.
        let _ = writeln!(family.samples, "{name}{suffix}{{{}}} {value}", labels.join(","));
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (name, family) in &self.families {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let Family { help, samples, .. } = family;
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}");
        }
        text
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_name_stand_together_and_buckets_add_up() {
        let mut exposition = Exposition::default();
        let labels = [("model", "a\"b")];
        exposition.counter("requests_total", "Requests.", &labels, 3);
        exposition.histogram("took_seconds", "Time.", &labels, &[0.5, 1.0], &[2, 0, 1], 4.25);
        exposition.counter("requests_total", "Requests.", &[("model", "c")], 1);
        assert_eq!(
            exposition.text(),
            "# HELP requests_total Requests.\n# TYPE requests_total counter\n\
             requests_total{model=\"a\\\"b\"} 3\nrequests_total{model=\"c\"} 1\n\
             # HELP took_seconds Time.\n# TYPE took_seconds histogram\n\
             took_seconds_bucket{model=\"a\\\"b\",le=\"0.5\"} 2\n\
             took_seconds_bucket{model=\"a\\\"b\",le=\"1\"} 2\n\
             took_seconds_bucket{model=\"a\\\"b\",le=\"+Inf\"} 3\n\
             took_seconds_sum{model=\"a\\\"b\"} 4.25\ntook_seconds_count{model=\"a\\\"b\"} 3\n"
        );
    }
}
