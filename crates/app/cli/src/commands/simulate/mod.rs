//! `corliss simulate`: recorded work under a virtual clock, decided by the server's own policies. Only history needs
//! a server.

mod history;
mod jobs;
mod listed;
mod plot;
mod pods;
mod requests;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use corliss_diagnostics::Diagnose;
use corliss_sim_cluster::trace::{Cluster, muri};
use corliss_sim_cluster::{Outages, Saves, Scheduled, Spread};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{Recorded, Recording, SimulateArgs};
use crate::context::Context;
use crate::error::{CliError, CliResult, cause};
use crate::{output, text, units};

/// Where traces lie that several checkouts share, seen from one.
const SHARED: &str = "../shared/data/traces";
/// Of a name or folder that is told of.
const PATH_SHOWN: usize = 200;
/// Larger files are refused.
const MAX_BYTES: u64 = 1 << 30;

/// Simulates what was recorded.
pub fn run(context: &Context, args: &SimulateArgs) -> CliResult {
    plot::check(args.cluster.plot.as_deref())?;
    let is_drawn = args.trace.as_ref().is_none_or(|trace| trace.kind.is_of_jobs());
    if args.cluster.plot.is_some() && !is_drawn {
        return Err(
            CliError::input("--plot draws jobs").hint("leave it away, or give jobs: muri, elasticflow, jobs")
        );
    }
    let is_scheduled = args.trace.as_ref().is_none_or(|trace| trace.kind.is_scheduled());
    if args.cluster.mtbf_h.is_some() && !is_scheduled {
        return Err(CliError::input("--mtbf-h is of nodes under the whole scheduler")
            .hint("leave it away, or give jobs that it decides on: elasticflow, jobs or --from-history"));
    }
    let folder = traces();
    let folder = folder.as_deref();
    let Some(trace) = &args.trace else {
        return history::run(context, args);
    };
    let text = read(trace, folder)?;
    match trace.kind {
        Recorded::Requests(kind) => requests::run(context, args, (trace, kind), &text),
        Recorded::Jobs => jobs::run(context, args, (trace, &text), cluster(args, trace, folder)?),
        Recorded::ElasticFlow | Recorded::List => {
            listed::run(context, args, (trace, &text), cluster(args, trace, folder)?)
        }
        Recorded::Pods => {
            let nodes = beside(trace, args.cluster.nodes.as_ref(), "--nodes", "nodes_gpu.csv")?;
            pods::run(context, args, (trace, &text), &(&nodes, read(&nodes, folder)?))
        }
    }
}

/// The cluster that jobs run on: as many nodes of as many accelerators, or a file that says so.
fn cluster(args: &SimulateArgs, trace: &Recording, folder: Option<&Path>) -> CliResult<Cluster> {
    let given = args.cluster.cluster.as_ref();
    let shape = given
        .and_then(|given| given.to_str())
        .filter(|text| is_shape(text));
    if let Some(shape) = shape {
        return shape
            .parse()
            .map_err(|error: String| CliError::input(format!("--cluster: {error}")));
    }
    let file = beside(trace, given, "--cluster", "8x8 or --cluster n8g8.csv")?;
    muri::cluster(&read(&file, folder)?).map_err(|error| in_file(&file, &error))
}

/// Digits, an x, digits: nobody calls a file so.
fn is_shape(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('x')
        .is_some_and(|(nodes, each)| digits(nodes) && digits(each))
}

/// Which jobs run on what, above the table of results.
fn say_jobs(trace: &Recording, jobs: usize, on: Cluster) {
    output::say(&format!(
        "{}: {} on {} of {}.\n",
        trace,
        units::plural(jobs as u64, "job"),
        units::plural(u64::from(on.nodes), "node"),
        units::plural(u64::from(on.accelerators_per_node), "accelerator"),
    ));
}

/// How many jobs were too large, below the table.
fn say_refused(refused: Option<u64>) {
    if let Some(refused) = refused.filter(|refused| *refused > 0) {
        let jobs = units::plural(refused, "job");
        output::say(&format!("{jobs} refused: larger than the cluster."));
    }
}

/// The same in JSON.
fn about_jobs(trace: &Recording, jobs: usize, on: Cluster) -> Value {
    json!({
        "trace": {"kind": trace.kind.name(), "file": trace.file.display().to_string(), "jobs": jobs},
        "cluster": {"nodes": on.nodes, "gpus_per_node": on.accelerators_per_node},
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and far below 2^52"
)]
fn span(seconds: f64) -> String {
    units::duration((seconds * 1e3) as u64)
}

/// What is told of when jobs were done under a policy.
const TIMES: [&str; 6] = ["policy", "jct mean", "p50", "p99", "waiting mean", "makespan"];

/// The cells of that.
fn times(policy: &str, jct_s: &Spread, waiting_s: &Spread, makespan_s: f64) -> Vec<String> {
    let times = [jct_s.mean, jct_s.p50, jct_s.p99, waiting_s.mean, makespan_s];
    std::iter::once(policy.to_owned())
        .chain(times.map(span))
        .collect()
}

/// When jobs of the whole scheduler save what they have done.
fn saves(args: &SimulateArgs) -> Saves {
    match args.cluster.checkpoint_s {
        Some(seconds) => Saves::Every(seconds.saturating_mul(1_000)),
        None => Saves::WhenStopped,
    }
}

/// Which of their nodes fail.
const fn outages(args: &SimulateArgs) -> Outages {
    match args.cluster.mtbf_h {
        Some(mtbf) => Outages::Drawn {
            mtbf_ms: mtbf.ms,
            repair_ms: args.cluster.repair_h.ms,
            seed: args.seed,
        },
        None => Outages::Never,
    }
}

/// What is told of that beside the usual columns.
const FELL: [&str; 3] = ["failures", "gangs lost", "gpu-hours lost"];

/// The cells of that.
fn fell(came: &Scheduled) -> [String; 3] {
    [
        units::grouped(came.failures),
        units::grouped(came.gangs_lost),
        format!("{:.0}", came.gpu_hours_lost),
    ]
}

/// The same in JSON: how nodes fail, where they do.
fn about_outages(about: &mut Value, outages: &Outages) {
    if let Outages::Drawn {
        mtbf_ms,
        repair_ms,
        seed,
    } = outages
    {
        let hours = |ms: u64| Duration::from_millis(ms).as_secs_f64() / 3_600.0;
        about["outages"] = json!({"mtbf_h": hours(*mtbf_ms), "repair_h": hours(*repair_ms), "seed": seed});
    }
}

/// The file that goes with a trace.
fn beside(trace: &Recording, file: Option<&PathBuf>, option: &str, example: &str) -> CliResult<Recording> {
    let kind = trace.kind;
    match file {
        Some(file) => Ok(Recording {
            kind,
            file: file.clone(),
        }),
        None => Err(
            CliError::input(format!("a trace of the kind {} needs {option}", kind.name()))
                .hint(format!("say what its work is put on, such as {option} {example}")),
        ),
    }
}

/// The policies that were named, each once; all of them if none was, or all were.
fn policies<T: Copy + PartialEq + std::fmt::Display>(args: &SimulateArgs, all: &[T]) -> CliResult<Vec<T>> {
    let mut named: Vec<T> = Vec::new();
    for name in &args.cluster.policies {
        let policies = if name == "all" {
            all.to_vec()
        } else {
            vec![policy(name, all)?]
        };
        for policy in policies {
            if !named.contains(&policy) {
                named.push(policy);
            }
        }
    }
    Ok(if named.is_empty() { all.to_vec() } else { named })
}

fn policy<T: Copy + std::fmt::Display>(name: &str, all: &[T]) -> CliResult<T> {
    // `best-fit` can only mean one thing.
    let wanted = name.replace('-', "_");
    let found = all.iter().find(|policy| policy.to_string() == wanted);
    found.copied().ok_or_else(|| {
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        let error = CliError::input(format!(
            "--policy: '{name}' is none of {}, or all",
            names.join(", ")
        ));
        match corliss_diagnostics::nearest(&wanted, names.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error,
        }
    })
}

/// What was simulated, with a result for each policy; the members of one that is alone are at the top as well.
fn document(mut about: Value, results: &[impl Serialize]) -> CliResult<Value> {
    let results = serde_json::to_value(results)
        .map_err(|error| CliError::input(format!("the results cannot be written: {error}")))?;
    if let (Some(about), [Value::Object(only)]) = (
        about.as_object_mut(),
        results.as_array().map_or(&[][..], Vec::as_slice),
    ) {
        about.extend(only.clone());
    }
    about["results"] = results;
    Ok(about)
}

/// What is wrong in a file, with its name.
fn in_file(recording: &Recording, error: &dyn Diagnose) -> CliError {
    let mut error = CliError::diagnosed(error);
    error.report.message = format!("{}: {}", recording.file.display(), error.report.message);
    error
}

/// The folder of traces: the one that is named, or the shared one where there is one.
fn traces() -> Option<PathBuf> {
    let named = std::env::var_os("CORLISS_TRACES").filter(|folder| !folder.is_empty());
    let shared = || Some(PathBuf::from(SHARED)).filter(|folder| folder.is_dir());
    named.map(PathBuf::from).or_else(shared)
}

/// The text of the file: a path as it is, and a name among the traces, those of its kind first.
fn read(recording: &Recording, folder: Option<&Path>) -> CliResult<String> {
    let name = &recording.file;
    let among_traces = folder.filter(|_| name.components().count() == 1);
    let places: Vec<PathBuf> = std::iter::once(name.clone())
        .chain(among_traces.map(|folder| folder.join(recording.kind.name()).join(name)))
        .chain(among_traces.map(|folder| folder.join(name)))
        .collect();
    for path in &places {
        match File::open(path) {
            Ok(file) => return text_of(path, file),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(unreadable(path, &error)),
        }
    }
    Err(missing(recording, among_traces))
}

fn missing(recording: &Recording, folder: Option<&Path>) -> CliError {
    let shown = |path: &Path| text::fit(&path.display().to_string(), PATH_SHOWN);
    let (kind, name) = (recording.kind.name(), shown(&recording.file));
    let message = match folder {
        Some(folder) => format!(
            "there is no trace '{name}': not here, nor in {}, nor in its folder {kind}",
            shown(folder)
        ),
        None => format!("there is no file '{name}'"),
    };
    let hint = format!(
        "give the path of {}, or set CORLISS_TRACES to a folder of traces and give a name in it or in its folder {kind}",
        recording.kind.form()
    );
    CliError::input(message).hint(hint)
}

fn text_of(path: &Path, file: File) -> CliResult<String> {
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > MAX_BYTES {
        let message = format!("{} is larger than {}", path.display(), units::bytes(MAX_BYTES));
        return Err(CliError::input(message).hint("simulate a part of it"));
    }
    String::from_utf8(bytes).map_err(|_| {
        CliError::input(format!("{} is not text in UTF-8", path.display()))
            .hint("traces are CSV or JSON lines; unpack the file if it is compressed")
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    let shown = text::fit(&path.display().to_string(), PATH_SHOWN);
    CliError::input(format!("cannot read {shown}: {}", cause(error)))
}

#[cfg(test)]
mod tests {
    use corliss_sim_serving::trace::TraceKind;

    use super::*;

    fn recording(file: &Path) -> Recording {
        Recording {
            kind: Recorded::Requests(TraceKind::Mooncake),
            file: file.to_owned(),
        }
    }

    #[test]
    fn a_file_is_found_by_its_path_or_among_the_traces() {
        let folder = tempfile::tempdir().unwrap();
        let of_kind = folder.path().join("mooncake");
        std::fs::create_dir(&of_kind).unwrap();
        std::fs::write(of_kind.join("a.jsonl"), "in its folder").unwrap();
        std::fs::write(folder.path().join("b.jsonl"), "beside").unwrap();
        let within =
            |file: &Path, folder| read(&recording(file), folder).map_err(|error| error.report.message);
        let text = |file: &Path| within(file, Some(folder.path()));
        assert_eq!(text(Path::new("a.jsonl")).unwrap(), "in its folder");
        assert_eq!(text(Path::new("b.jsonl")).unwrap(), "beside");
        assert_eq!(text(&of_kind.join("a.jsonl")).unwrap(), "in its folder");
        let missing = text(Path::new("c.jsonl")).unwrap_err();
        let traces = folder.path().display().to_string();
        assert!(missing.contains("no trace 'c.jsonl': not here"), "{missing}");
        assert!(
            missing.contains(&traces) && missing.contains("folder mooncake"),
            "{missing}"
        );
        // Only what was named is looked for, and only once is it told.
        let deep = folder.path().join("nowhere/c.jsonl");
        assert_eq!(
            text(&deep).unwrap_err(),
            format!("there is no file '{}'", deep.display())
        );
        let nowhere = within(Path::new("c.jsonl"), None).unwrap_err();
        assert_eq!(nowhere, "there is no file 'c.jsonl'");
        let endless = within(Path::new(&"c".repeat(100_000)), None).unwrap_err();
        assert!(endless.len() < 300, "{endless}");
        let a_folder = text(&of_kind).unwrap_err();
        assert!(a_folder.starts_with("cannot read"), "{a_folder}");
        std::fs::write(folder.path().join("zipped"), [0xff, 0xfe]).unwrap();
        let binary = text(Path::new("zipped")).unwrap_err();
        assert!(binary.ends_with("is not text in UTF-8"), "{binary}");
    }
}
