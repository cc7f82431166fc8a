//! The key under which a step's result may be reused: all that decides it, and nothing else.
//!
//! In it: command, launcher, workers, code, input versions, names of outputs, declared environment,
//! parameters. Not in it: attempt, ports, tokens, resources, the shell's PATH.

use std::collections::BTreeMap;

use corliss_types::VersionId;
use serde::Serialize;

use crate::project_file::Step;

/// Raised when what is hashed changes, so that no old key is ever taken for a new one.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Hashed<'a> {
    format: u32,
    command: &'a str,
    launcher: Option<&'static str>,
    workers: u32,
    code: &'a VersionId,
    inputs: &'a BTreeMap<String, VersionId>,
    outputs: Vec<&'a str>,
    env: &'a BTreeMap<String, String>,
    params: &'a BTreeMap<String, String>,
}

/// 64 hex digits.
pub(crate) fn cache_key(
    step: &Step,
    code: &VersionId,
    inputs: &BTreeMap<String, VersionId>,
    params: &BTreeMap<String, String>,
) -> String {
    let mut outputs: Vec<&str> = step.outputs.iter().map(String::as_str).collect();
    outputs.sort_unstable();
    let hashed = Hashed {
        format: FORMAT,
        command: &step.run,
        launcher: step.launcher.map(|launcher| launcher.as_str()),
        workers: step.workers,
        code,
        inputs,
        outputs,
        env: &step.env,
        params,
    };
    // Every field is text, number or an ordered map: serialising cannot fail, and is the same every time.
    let bytes = serde_json::to_vec(&hashed).unwrap_or_default();
    blake3::hash(&bytes).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project_file;

    fn step(text: &str) -> Step {
        project_file::parse(
            &format!("project: p\ndata: {{d: ./d}}\nsteps:\n  a: {text}\n"),
            None,
        )
        .unwrap()
        .steps
        .remove(0)
    }

    fn key(text: &str, code: u8, input: u8) -> String {
        let inputs = BTreeMap::from([("d".to_owned(), VersionId::from_digest([input; 32]))]);
        cache_key(
            &step(text),
            &VersionId::from_digest([code; 32]),
            &inputs,
            &BTreeMap::new(),
        )
    }

    #[test]
    fn only_what_decides_the_result_is_in_the_key() {
        let base = key("{run: python a.py, inputs: [d], outputs: [o]}", 1, 1);
        let same = "{run: python a.py, inputs: [d], outputs: [o], retries: {user: 3}, timeout: 5m, resources: {cpus: 2}}";
        assert_eq!(base, key(same, 1, 1));
        let others = [
            key("{run: python a.py, inputs: [d], outputs: [o]}", 2, 1),
            key("{run: python a.py, inputs: [d], outputs: [o]}", 1, 2),
            key("{run: python b.py, inputs: [d], outputs: [o]}", 1, 1),
            key("{run: python a.py, inputs: [d], outputs: [p]}", 1, 1),
            key("{run: python a.py, inputs: [d], outputs: [o], env: {A: 1}}", 1, 1),
            key("{run: python a.py, inputs: [d], outputs: [o], workers: 2}", 1, 1),
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(&base, other, "{index}");
        }
    }

    #[test]
    fn the_key_of_a_stored_result_does_not_change() {
        let frozen = "e90be304";
        let now = key("{run: python a.py, inputs: [d], outputs: [o]}", 1, 1);
        assert_eq!(&now[..8], frozen, "raise FORMAT if this is meant");
    }
}
