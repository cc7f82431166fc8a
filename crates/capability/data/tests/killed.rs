//! A process that is killed in the middle of a random history, again and again, on one home: every answer that was
//! given stays true, and the call that was cut off has happened or has not, and can be made again either way.
//!
//! `CORLISS_KILLS` asks for more kills than the suite makes by itself, `CORLISS_KILL_SEED` for other histories.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod repository;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use corliss_testkit::killed;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use repository::call::{Answer, Call, Outcome, Step, agree};
use repository::content::CONTENTS;
use repository::home::Home;
use repository::model::Model;
use repository::pick::history_of;

const CHILD_VARIABLE: &str = "CORLISS_DATA_TEST_KILLED";
/// Kills on one home, so that neither it nor the time to read all of it grows without end.
const KILLS_A_HOME: u64 = 9;
/// More than a process gets to before it is killed.
const CALLS: usize = 400;
/// Within this much of its work a process is killed.
const LIFE_MAX: Duration = Duration::from_millis(400);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Not a test of its own: makes the calls that it is given, and says of each that it was answered before the next.
#[tokio::test]
#[ignore = "started by what_a_killed_process_acknowledged…"]
async fn call_until_killed() {
    let Some(folder) = std::env::var_os(CHILD_VARIABLE) else {
        return;
    };
    let folder = Path::new(&folder);
    let steps: Vec<Step> = serde_json::from_slice(&fs::read(folder.join("steps")).unwrap()).unwrap();
    let home = Home::open(folder).await;
    let mut said = std::io::stdout().lock();
    said.write_all(b"\nready\n").unwrap();
    said.flush().unwrap();
    for step in &steps {
        let answer = home.perform(step).await;
        writeln!(said, "{}", told(answer.as_ref().ok())).unwrap();
        said.flush().unwrap();
    }
}

/// What a process says of an answer: what is new, if anything.
fn told(outcome: Option<&Outcome>) -> String {
    let commit = match outcome {
        None => return "refused".to_owned(),
        Some(Outcome::Committed(committed)) => committed.commit.clone(),
        Some(Outcome::Merged(merged)) => merged.committed.commit.clone(),
        Some(Outcome::Ref(info)) => Some(info.commit.clone()),
        Some(Outcome::Done) => None,
    };
    commit.map_or_else(|| "done".to_owned(), |commit| format!("done {commit}"))
}

/// A random source that a seed decides.
fn runner(seed: u64) -> TestRunner {
    let bytes: Vec<u8> = (0..4).flat_map(|n| (seed ^ (n << 60)).to_le_bytes()).collect();
    TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &bytes),
    )
}

/// The steps of the next process, and what each answers. Calls that would be refused are mostly left out: they change
/// nothing that a kill could leave half done.
fn planned(model: &Model, now_ms: &mut i64, seed: u64) -> (Vec<Step>, Vec<Answer>) {
    let ops = history_of(CONTENTS, CALLS..CALLS + 1);
    let ops = ops.new_tree(&mut runner(seed)).unwrap().current();
    let mut model = model.clone();
    let each = ops.iter().enumerate().filter_map(|(at, op)| {
        let step = op.aimed(&model, now_ms);
        let answer = model.apply(&step);
        (answer.is_ok() || at % 8 == 0).then_some((step, answer))
    });
    each.unzip()
}

/// Runs a process that makes the steps, kills it after some time, and answers what it said of which.
fn made_until_killed(folder: &Path, after: Duration) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "call_until_killed", "--nocapture"])
        .env(CHILD_VARIABLE, folder);
    let mut said = killed::after_ready(&mut command, after);
    said.retain(|line| line.starts_with("done") || line == "refused");
    said
}

/// What was acknowledged is there, the call in flight is or is not, and nothing is half. Answers which.
async fn survived(home: &Home, model: &mut Model, in_flight: Option<&Step>) -> &'static str {
    let mut after = model.clone();
    if let Some(step) = in_flight {
        let _ = after.apply(step);
    }
    let before = home.differs(model).await;
    let state = match (&before, home.differs(&after).await) {
        (None, None) => "without effect",
        (None, Some(_)) => "before",
        (Some(_), None) => "after",
        (Some(before), Some(after)) => panic!("{in_flight:?} was half done:\n{before}\nand\n{after}"),
    };
    // A collection may have come so far or not; what none may remove must be there.
    let collects = matches!(in_flight.map(|step| &step.call), Some(Call::Collect));
    if before.is_some() || collects {
        *model = after;
    }
    home.is_whole(model, true).await;
    let report = home.blobs.check(&Default::default(), &|_| {}).await.unwrap();
    assert_eq!(report.findings, []);
    if collects { "in a collection" } else { state }
}

async fn one_home(seed: u64, kills: u64) -> (Vec<&'static str>, usize) {
    // In memory more calls are made before a kill; on a disk more kills come while one waits for it.
    let in_memory = || tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let is_even = (seed / KILLS_A_HOME).is_multiple_of(2);
    let folder = if is_even { in_memory() } else { tempfile::tempdir() }.unwrap();
    let folder = folder.path();
    println!("a home begins with CORLISS_KILL_SEED={seed}");
    let mut model = Model::default();
    let mut now_ms = 0;
    let (mut states, mut acknowledged) = (Vec::new(), 0);
    for kill in 0..kills {
        let seed = seed + kill;
        let (steps, answers) = planned(&model, &mut now_ms, seed);
        fs::write(folder.join("steps"), serde_json::to_vec(&steps).unwrap()).unwrap();
        let after =
            LIFE_MAX.mul_f64((seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / (1 << 24) as f64);
        let said = made_until_killed(folder, after);
        for ((step, expected), said) in steps.iter().zip(&answers).zip(&said) {
            assert_eq!(*said, told(expected.as_ref().ok()), "seed {seed}: {step:?}");
            let _ = model.apply(step);
        }
        acknowledged += said.len();
        let in_flight = steps.get(said.len());
        let home = Home::open(folder).await;
        states.push(survived(&home, &mut model, in_flight).await);
        if let Some(step) = in_flight {
            let (expected, answer) = (model.apply(step), home.perform(step).await);
            assert!(
                agree(&expected, &answer),
                "seed {seed}: {step:?} again\n{answer:?}\n{expected:?}"
            );
            assert_eq!(home.differs(&model).await, None, "seed {seed}: {step:?} again");
        }
    }
    (states, acknowledged)
}

// More than one thread: a store lets go of its folder on one while the other waits for a process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_acknowledged_is_there_and_nothing_is_half() {
    let kills = number("CORLISS_KILLS").unwrap_or(25);
    let begin = number("CORLISS_KILL_SEED").unwrap_or(1);
    let (mut states, mut acknowledged) = (Vec::new(), 0);
    for first in (0..kills).step_by(usize::try_from(KILLS_A_HOME).unwrap()) {
        let here = KILLS_A_HOME.min(kills - first);
        let (more, calls) = one_home(begin + first, here).await;
        states.extend(more);
        acknowledged += calls;
    }
    println!("{acknowledged} calls were acknowledged");
    for state in ["before", "after", "without effect", "in a collection"] {
        let count = states.iter().filter(|found| **found == state).count();
        println!("{count} calls were cut off: {state}");
    }
    assert_eq!(states.len() as u64, kills);
}
