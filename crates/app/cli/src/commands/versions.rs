//! From what people write for a version to its id: a name, `NAME@VERSION`, an id, or the beginning of one as
//! tables print it.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::api::{Api, segment};
use crate::error::{CliError, CliResult, EXIT_NOT_FOUND};
use crate::program;
use crate::text::short;
use crate::views::{DatasetDetail, DatasetView};

/// Hex digits of a whole id.
const WHOLE: usize = 64;
/// Fewer could mean anything.
const FEWEST: usize = 6;

/// The version behind a dataset's name, `NAME@VERSION` or an id.
pub fn version_of(api: &Api, target: &str) -> CliResult<String> {
    if let Some(digits) = target.strip_prefix("v_") {
        if digits.len() >= WHOLE {
            return Ok(target.to_owned());
        }
        check(target, digits)?;
        return only(target, None, search(api, digits)?);
    }
    let (name, wanted) = target.split_once('@').unwrap_or((target, "latest"));
    let dataset: DatasetDetail = api.get(&format!("/api/v1/data/datasets/{}", segment(name)))?;
    if wanted == "latest" {
        return Ok(dataset.latest);
    }
    let digits = wanted.strip_prefix("v_").unwrap_or(wanted);
    check(wanted, digits)?;
    only(wanted, Some(name), matching(dataset, digits).collect())
}

fn check(wanted: &str, digits: &str) -> CliResult {
    if digits.len() < FEWEST || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(CliError::input(format!("'{wanted}' is no version")).hint(format!(
            "a version is v_ and at least {FEWEST} hex digits of its id"
        )));
    }
    Ok(())
}

fn matching(dataset: DatasetDetail, digits: &str) -> impl Iterator<Item = String> {
    let start = format!("v_{}", digits.to_ascii_lowercase());
    let versions = dataset.history.into_iter().map(|version| version.version);
    versions
        .chain([dataset.latest])
        .filter(move |version| version.starts_with(&start))
}

/// Looks through the history of every dataset.
fn search(api: &Api, digits: &str) -> CliResult<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Datasets {
        items: Vec<DatasetView>,
        next_page_token: Option<String>,
    }
    let mut found = BTreeSet::new();
    let mut after = String::new();
    loop {
        let page: Datasets = api.get(&format!("/api/v1/data/datasets?limit=1000{after}"))?;
        for dataset in page.items {
            let path = format!("/api/v1/data/datasets/{}", segment(&dataset.name));
            found.extend(matching(api.get(&path)?, digits));
        }
        match page.next_page_token {
            Some(token) => after = format!("&page_token={}", segment(&token)),
            None => return Ok(found),
        }
    }
}

fn only(wanted: &str, dataset: Option<&str>, found: BTreeSet<String>) -> CliResult<String> {
    let mut versions = found.iter();
    match (versions.next(), versions.next(), dataset) {
        (Some(version), None, _) => Ok(version.clone()),
        (Some(one), Some(other), _) => Err(CliError::new(
            EXIT_NOT_FOUND,
            "version_ambiguous",
            format!("{} versions begin with '{wanted}'", found.len()),
        )
        .hint(format!(
            "write more of it: {} and {} are two of them",
            distinct(one, other),
            distinct(other, one)
        ))),
        (None, _, Some(name)) => Err(CliError::new(
            EXIT_NOT_FOUND,
            "version_not_found",
            format!("dataset '{name}' has no version '{wanted}'"),
        )
        .hint(format!(
            "{} lists them",
            program::command(&format!("data show {name}"))
        ))),
        (None, _, None) => Err(CliError::new(
            EXIT_NOT_FOUND,
            "version_not_found",
            format!("no dataset has a version that begins with '{wanted}'"),
        )
        .hint("write its whole id if it is of a step and in no dataset: --json shows it")),
    }
}

/// So much of an id that it cannot be the other one.
fn distinct(one: &str, other: &str) -> String {
    let same = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let long = one.chars().take(same + 2).collect::<String>();
    if long.len() > short(one).len() {
        long
    } else {
        short(one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn a_beginning_must_be_of_exactly_one_version() {
        assert_eq!(only("v_aaaaaa", None, some(&["v_aaaaaa1"])).unwrap(), "v_aaaaaa1");
        let many = only("v_aaaaaa", None, some(&["v_aaaaaa1", "v_aaaaaa2"])).unwrap_err();
        assert_eq!(
            (many.exit_code, many.report.code.as_str()),
            (EXIT_NOT_FOUND, "version_ambiguous")
        );
        let none = only("v_aaaaaa", Some("d"), some(&[])).unwrap_err();
        assert_eq!(none.exit_code, EXIT_NOT_FOUND);
        assert!(check("v_12345", "12345").is_err());
        assert!(check("v_12345g", "12345g").is_err());
        assert!(check("12345f", "12345f").is_ok());
    }
}
