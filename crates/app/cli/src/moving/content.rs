//! What a source has of a run, and what of it is not here: both sides by digests, in the form of `corliss_mlflow_wire`.

use std::collections::{BTreeMap, BTreeSet};

use corliss_mlflow_store::{Dataset, Pair, Point, Run};
use corliss_mlflow_wire::{DatasetContent, PointsDigest, digest_of_link, digest_of_texts};
use serde_json::json;

use super::server::{DELETED, PointsHere, RunHere};
use crate::units;

/// Counts and digests points as they are read, metric by metric.
#[derive(Default)]
pub struct Sums(BTreeMap<String, PointsDigest>);

impl Sums {
    pub fn add(&mut self, point: &Point) {
        if !self.0.contains_key(&point.key) {
            self.0.insert(point.key.clone(), PointsDigest::default());
        }
        if let Some(digest) = self.0.get_mut(&point.key) {
            digest.add(point.logged_ms, point.step, point.value);
        }
    }

    fn finish(self) -> impl Iterator<Item = (String, PointsHere)> {
        self.0.into_iter().map(|(key, digest)| {
            let (count, digest) = digest.finish();
            (key, PointsHere { count, digest })
        })
    }
}

/// What a run is beside what it logged: what each is called, and as it is shown.
type About = [(&'static str, String); 6];

fn about(name: &str, user: &str, status: &str, times: (i64, Option<i64>), stage: &str) -> About {
    let (start_ms, end_ms) = times;
    [
        ("name", format!("'{name}'")),
        ("user", format!("'{user}'")),
        ("status", status.to_owned()),
        ("start time", start_ms.to_string()),
        (
            "end time",
            end_ms.map_or("none".to_owned(), |end_ms| end_ms.to_string()),
        ),
        ("lifecycle stage", stage.to_owned()),
    ]
}

fn about_here(here: &RunHere) -> About {
    let times = (here.start_ms, here.end_ms);
    about(&here.name, &here.user, &here.status, times, &here.lifecycle_stage)
}

/// What a source has of a run.
pub struct Content {
    about: About,
    params: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    /// Name and digest.
    datasets: Vec<(String, String)>,
    /// Id and digest.
    models: Vec<(String, String)>,
    points: BTreeMap<String, PointsHere>,
}

/// Something of a source that is not here as it is there.
pub struct Difference {
    pub text: String,
    /// Whether another import would not mend it: what is here stays.
    pub stays: bool,
}

impl Content {
    pub fn of(run: &Run, sums: Sums) -> Self {
        let datasets = run.datasets.iter();
        let models = run.models.iter();
        let times = (run.start_ms, run.end_ms);
        let stage = if run.is_deleted { DELETED } else { "active" };
        Self {
            about: about(&run.name, &run.user, &run.status, times, stage),
            params: digested(&run.params),
            tags: digested(&run.tags),
            datasets: datasets
                .map(|dataset| (dataset.name.clone(), digest_of(dataset)))
                .collect(),
            models: models
                .map(|link| {
                    let digest = digest_of_link(&link.model_id, link.output, link.step);
                    (link.model_id.clone(), digest)
                })
                .collect(),
            points: sums.finish().collect(),
        }
    }

    /// What tells this state of the run from another.
    pub fn digest(&self, run: &Run) -> String {
        let points = self.points.iter();
        let points = points.map(|(key, of)| (key, of.count, &of.digest));
        let text = json!([run, points.collect::<Vec<_>>()]).to_string();
        digest_of_texts([text.as_str()])
    }

    pub fn params(&self) -> u64 {
        self.params.len() as u64
    }

    pub fn tags(&self) -> u64 {
        self.tags.len() as u64
    }

    pub fn datasets(&self) -> u64 {
        self.datasets.len() as u64
    }

    pub fn metric_points(&self) -> u64 {
        self.points.values().map(|points| points.count).sum()
    }

    /// The names of its metrics.
    pub fn metrics(&self) -> impl Iterator<Item = &String> {
        self.points.keys()
    }

    /// Metrics of which not all points are here.
    pub fn lacking(&self, here: Option<&RunHere>) -> BTreeSet<String> {
        let count = |key: &String| {
            let points = here.and_then(|here| here.points.get(key));
            points.map_or(0, |points| points.count)
        };
        let points = self.points.iter();
        points
            .filter(|(key, points)| count(key) < points.count)
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Whether a metric was among those that were read first; of a run that is still written, some come later.
    pub fn has_metric(&self, key: &str) -> bool {
        self.points.contains_key(key)
    }

    /// Puts what was read last in the place of what was read first.
    pub fn reread(&mut self, sums: Sums) {
        self.points.extend(sums.finish());
    }

    /// What of it is not here. `is_settled` says that the source has not changed since it was moved in.
    pub fn differences(&self, here: &RunHere, is_settled: bool) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut add = |text: String, stays: bool| found.push(Difference { text, stays });
        for ((what, source), (_, here)) in self.about.iter().zip(about_here(here)) {
            if *source != here {
                let text = format!("the {what} is {source} in the source, {here} here");
                add(text, is_settled);
            }
        }
        for (what, source, here, is_written_over) in [
            ("parameter", &self.params, &here.params, false),
            ("tag", &self.tags, &here.tags, !is_settled),
        ] {
            for (key, digest) in source {
                match here.get(key) {
                    Some(same) if same == digest => {}
                    Some(_) => add(
                        format!("the {what} '{key}' has another value here"),
                        !is_written_over,
                    ),
                    None => add(format!("the {what} '{key}' is not here"), is_settled),
                }
            }
        }
        for (what, source, here) in [
            ("dataset", &self.datasets, &here.datasets),
            ("link to the logged model", &self.models, &here.models),
        ] {
            for (name, _) in source.iter().filter(|(_, digest)| !here.contains(digest)) {
                add(
                    format!("the {what} '{name}' is not here as in the source"),
                    is_settled,
                );
            }
        }
        for (key, source) in &self.points {
            let none = PointsHere::default();
            let found = here.points.get(key).unwrap_or(&none);
            let counted = units::plural(source.count, "point");
            if found.count < source.count {
                let text = format!("{counted} of '{key}' in the source, {} here", found.count);
                add(text, is_settled);
            } else if found.count > source.count {
                let text = format!("{counted} of '{key}' in the source, {} here", found.count);
                add(text, true);
            } else if found.digest != source.digest {
                add(
                    format!("{counted} of '{key}' on both sides, but not the same"),
                    true,
                );
            }
        }
        found
    }
}

fn digested(pairs: &[Pair]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|pair| (pair.key.clone(), digest_of_texts([pair.value.as_str()])))
        .collect()
}

fn digest_of(dataset: &Dataset) -> String {
    let tags = dataset.tags.iter();
    DatasetContent {
        name: &dataset.name,
        digest: &dataset.digest,
        source_type: &dataset.source_type,
        source: &dataset.source,
        schema: dataset.schema.as_deref(),
        profile: dataset.profile.as_deref(),
        tags: tags.map(|tag| (tag.key.as_str(), tag.value.as_str())).collect(),
    }
    .digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rate: &str) -> Run {
        Run {
            run_id: "r1".to_owned(),
            name: String::new(),
            user: String::new(),
            status: "FINISHED".to_owned(),
            start_ms: 1,
            end_ms: None,
            is_deleted: false,
            deleted_ms: None,
            artifact_uri: String::new(),
            params: vec![Pair::new("rate", rate)],
            tags: vec![Pair::new("t", "u")],
            datasets: Vec::new(),
            models: Vec::new(),
        }
    }

    fn content(rate: &str, values: &[f64]) -> Content {
        let mut sums = Sums::default();
        for (at, value) in values.iter().enumerate() {
            sums.add(&Point {
                key: "loss".to_owned(),
                logged_ms: at as i64,
                step: 0,
                value: *value,
            });
        }
        Content::of(&run(rate), sums)
    }

    fn here(content: Content) -> RunHere {
        RunHere {
            run_id: "r1".to_owned(),
            experiment_id: 1,
            experiment_name: "e".to_owned(),
            digest: None,
            lifecycle_stage: "active".to_owned(),
            name: String::new(),
            user: String::new(),
            status: "FINISHED".to_owned(),
            start_ms: 1,
            end_ms: None,
            artifact_uri: String::new(),
            params: content.params,
            tags: content.tags,
            datasets: Vec::new(),
            models: Vec::new(),
            points: content.points,
            artifacts: 0,
            artifact_bytes: 0,
        }
    }

    fn told(source: &Content, here: &RunHere, is_settled: bool) -> Vec<(String, bool)> {
        let found = source.differences(here, is_settled).into_iter();
        found.map(|one| (one.text, one.stays)).collect()
    }

    #[test]
    fn what_was_changed_is_told_though_the_counts_are_the_same() {
        let source = content("0.1", &[1.0, 2.0]);
        assert_eq!(told(&source, &here(content("0.1", &[1.0, 2.0])), true), []);
        assert_eq!(
            told(&source, &here(content("0.2", &[1.0, 2.5])), false),
            [
                ("the parameter 'rate' has another value here".to_owned(), true),
                (
                    "2 points of 'loss' on both sides, but not the same".to_owned(),
                    true
                )
            ]
        );
        assert_ne!(
            source.digest(&run("0.1")),
            content("0.1", &[1.0, 2.5]).digest(&run("0.1"))
        );
    }

    #[test]
    fn what_a_run_is_told_to_be_here_is_told_unless_it_is_written_anew() {
        let source = content("0.1", &[1.0]);
        let mut changed = here(content("0.1", &[1.0]));
        changed.status = "FAILED".to_owned();
        changed.end_ms = Some(7);
        changed.name = "mine".to_owned();
        for is_settled in [true, false] {
            let expected = [
                "the name is '' in the source, 'mine' here",
                "the status is FINISHED in the source, FAILED here",
                "the end time is none in the source, 7 here",
            ]
            .map(|text| (text.to_owned(), is_settled));
            assert_eq!(told(&source, &changed, is_settled), expected);
        }
    }

    #[test]
    fn what_the_next_import_brings_does_not_stay_a_difference() {
        let source = content("0.1", &[1.0, 2.0]);
        let behind = here(content("0.1", &[1.0]));
        let text = "2 points of 'loss' in the source, 1 here".to_owned();
        assert_eq!(told(&source, &behind, false), [(text.clone(), false)]);
        assert_eq!(told(&source, &behind, true), [(text, true)]);
        assert_eq!(source.lacking(Some(&behind)), ["loss".to_owned()].into());
        let mut changed = here(content("0.1", &[1.0, 2.0, 3.0]));
        changed.tags.insert("t".to_owned(), "other".to_owned());
        changed.tags.insert("more".to_owned(), "x".to_owned());
        let found = told(&source, &changed, false);
        assert_eq!(
            found,
            [
                ("the tag 't' has another value here".to_owned(), false),
                ("2 points of 'loss' in the source, 3 here".to_owned(), true)
            ]
        );
        assert!(source.lacking(Some(&changed)).is_empty());
    }
}
