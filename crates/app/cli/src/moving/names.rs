//! Names that a source has and the server does not take: the parameter, tag or metric is left out, and the rest of its run
//! comes. They are told by a dry run as well.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use corliss_mlflow_store::{Point, Run, SourceError};
use corliss_mlflow_wire::{check_key, check_length};

use super::mover::Supply;

/// Characters of a name, as the server limits them.
const LONGEST: usize = 250;

/// Why a name is not taken.
fn refusal(name: &str) -> Option<String> {
    let checked = check_key("name", name).and_then(|()| check_length("name", LONGEST, name));
    checked.err().map(|error| error.to_string())
}

fn told(what: &str, name: &str, why: &str) -> String {
    format!("the {what} '{name}': {why}")
}

/// Takes the parameters and tags out of a run whose names are not taken; answers them, each with its reason.
pub fn take_out_refused(run: &mut Run) -> Vec<String> {
    let mut found = Vec::new();
    for (what, pairs) in [("parameter", &mut run.params), ("tag", &mut run.tags)] {
        pairs.retain(|pair| match refusal(&pair.key) {
            Some(why) => {
                found.push(told(what, &pair.key, &why));
                false
            }
            None => true,
        });
    }
    found
}

/// The points of those metrics of a run whose names are taken; answers the others, each with its reason.
pub fn points_of(
    run: &Run,
    supply: &mut dyn Supply,
    each: &mut dyn FnMut(Point) -> ControlFlow<()>,
) -> Result<Vec<String>, SourceError> {
    let mut refused: BTreeMap<String, String> = BTreeMap::new();
    // Points come metric by metric.
    let mut allowed = String::new();
    supply.points(run, &mut |point| {
        if point.key != allowed || point.key.is_empty() {
            if refused.contains_key(&point.key) {
                return ControlFlow::Continue(());
            }
            if let Some(why) = refusal(&point.key) {
                refused.insert(point.key, why);
                return ControlFlow::Continue(());
            }
            point.key.clone_into(&mut allowed);
        }
        each(point)
    })?;
    let refused = refused.iter();
    Ok(refused.map(|(name, why)| told("metric", name, why)).collect())
}

#[cfg(test)]
mod tests {
    use corliss_mlflow_store::Pair;

    use super::super::artifacts::Files;
    use super::super::report::Report;
    use super::*;

    struct Metrics(Vec<&'static str>);

    impl Supply for Metrics {
        fn points(
            &mut self,
            _run: &Run,
            each: &mut dyn FnMut(Point) -> ControlFlow<()>,
        ) -> Result<(), SourceError> {
            for key in &self.0 {
                let point = Point {
                    key: (*key).to_owned(),
                    logged_ms: 1,
                    step: 0,
                    value: 1.0,
                };
                if each(point).is_break() {
                    break;
                }
            }
            Ok(())
        }

        fn files(&mut self, _run: &Run, _report: &mut Report) -> Files {
            Files::default()
        }
    }

    #[test]
    fn a_name_that_is_not_taken_costs_nothing_else() {
        let pairs = |keys: &[&str]| keys.iter().map(|key| Pair::new(*key, "v")).collect();
        let mut run = Run {
            run_id: "r1".to_owned(),
            name: String::new(),
            user: String::new(),
            status: "FINISHED".to_owned(),
            start_ms: 1,
            end_ms: None,
            is_deleted: false,
            deleted_ms: None,
            artifact_uri: String::new(),
            params: pairs(&["lr/rate", "a\\b"]),
            tags: pairs(&["k", "bell\u{7}", &"x".repeat(LONGEST + 1)]),
            datasets: Vec::new(),
            models: Vec::new(),
        };
        let told = take_out_refused(&mut run);
        let kept: Vec<&str> = run
            .params
            .iter()
            .chain(&run.tags)
            .map(|pair| pair.key.as_str())
            .collect();
        assert_eq!(kept, ["lr/rate", "k"]);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("the parameter 'a\\b': ") && told[0].contains("Names may only contain"));
        assert!(told[1].starts_with("the tag 'bell\u{7}': "), "{told:?}");
        assert!(told[2].contains("250 characters"), "{told:?}");

        let mut supply = Metrics(vec!["", "../up", "loss", "loss", "a\\b", "a\\b", "val/loss"]);
        let mut came = Vec::new();
        let told = points_of(&run, &mut supply, &mut |point| {
            came.push(point.key);
            ControlFlow::Continue(())
        });
        assert_eq!(came, ["loss", "loss", "val/loss"]);
        let told = told.unwrap();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("the metric '': "), "{told:?}");
    }
}
