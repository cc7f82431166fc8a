//! Lists of jobs with when each came, how long it ran and how many accelerators it had: the traces of `ElasticFlow` (Gu et al.,
//! ASPLOS 2023), and any list of the same form that says more of each.

use std::collections::BTreeSet;

use corliss_policy_scheduling::Gang;
use corliss_policy_scheduling::cluster::{Topology, Wanted};
use corliss_policy_scheduling::nodes::{Ask, Share};
use corliss_sim_trace::{Row, SimError, Table};
use corliss_types::{IdSeed, JobId, Timestamp};

use crate::Arrival;

/// Most jobs of a list.
const JOBS_MAX: usize = 2_000_000;
/// Longest time that a list may tell, in seconds: three centuries.
const SECONDS_MAX: f64 = 1e10;
/// Most accelerators of a job.
const ACCELERATORS_MAX: u32 = 1_000_000;
/// The queue of jobs that name none, and the user of those.
const DEFAULT: &str = "default";
const NEEDED: [&str; 3] = ["submission_time", "duration", "num_gpu"];

/// Reads a list; its jobs are in order of arrival. One with more accelerators than a node has (`per_node`) is a gang of equal
/// workers, as few as can be. `deadline`, `estimate` (how long a job is said to run; what it runs if that is left out),
/// `priority`, `queue`, `user` and `preemptible` may be left out.
///
/// # Errors
/// If a line is not what it should be.
pub fn jobs(text: &str, per_node: u32) -> Result<Vec<Arrival>, SimError> {
    let table = Table::read(text, NEEDED)?;
    let mut arrivals = Vec::new();
    for row in table.rows() {
        let row = row?;
        if arrivals.len() == JOBS_MAX {
            return Err(SimError::line(
                row.line,
                format!("the list has more than {JOBS_MAX} jobs"),
                "cut it",
            ));
        }
        arrivals.push(arrival(&row, arrivals.len(), per_node)?);
    }
    arrivals.sort_by_key(|one| one.gang.submitted);
    Ok(arrivals)
}

fn arrival(row: &Row<'_, 3>, number: usize, per_node: u32) -> Result<Arrival, SimError> {
    let (submitted, runs_ms) = (
        ms(row, "submission_time", row.text(0))?,
        ms(row, "duration", row.text(1))?,
    );
    let accelerators: u32 = row.number(2)?;
    if accelerators > ACCELERATORS_MAX {
        return Err(row.wrong(
            2,
            format!("num_gpu is {accelerators}"),
            format!("give at most {ACCELERATORS_MAX}"),
        ));
    }
    let optional_ms = |name: &'static str| row.optional(name).map(|text| ms(row, name, text)).transpose();
    let deadline = optional_ms("deadline")?.map(timestamp);
    let estimate_ms = optional_ms("estimate")?;
    let name = |column| row.optional(column).unwrap_or(DEFAULT).to_owned();
    let (workers, each) = divided(accelerators, per_node);
    let gang = Gang {
        job: job(number),
        queue: name("queue"),
        user: name("user"),
        submitted: timestamp(submitted),
        not_before: None,
        priority: row.optional_number("priority")?.unwrap_or(0),
        is_preemptible: row
            .optional_number::<u8>("preemptible")?
            .is_none_or(|flag| flag != 0),
        wanted: Wanted {
            ask: Ask {
                cpu_milli: 0,
                memory: 0,
                share: if each == 0 {
                    Share::None
                } else {
                    Share::Whole(each)
                },
                models: BTreeSet::new(),
                avoids_spot: false,
            },
            least: workers,
            most: workers,
            topology: Topology::Anywhere,
        },
        run_ms: Some(estimate_ms.unwrap_or(runs_ms)),
        served_ms: 0,
        deadline,
    };
    Ok(Arrival { gang, runs_ms })
}

/// Workers and the accelerators of each: the fewest that are alike and fit nodes.
fn divided(accelerators: u32, per_node: u32) -> (u32, u32) {
    let fits = |each: &u32| *each > 0 && accelerators.is_multiple_of(*each);
    match (1..=per_node.min(accelerators)).rev().find(fits) {
        Some(each) => (accelerators / each, each),
        None => (1, accelerators),
    }
}

fn job(number: usize) -> JobId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&(number as u64).to_be_bytes());
    JobId::new(IdSeed {
        at: Timestamp::from_millis(0),
        random,
    })
}

fn timestamp(ms: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
fn ms(row: &Row<'_, 3>, column: &'static str, text: &str) -> Result<u64, SimError> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=SECONDS_MAX).contains(&seconds) => Ok((seconds * 1e3).round() as u64),
        _ => {
            let shown: String = text.chars().take(40).collect();
            let problem = format!("{column} is '{shown}', which is no time in range");
            Err(SimError::value(row.line, column, problem, "give seconds from 0"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elasticflows_own_form_and_more_of_it() {
        let text = "job_id,submission_time,num_iteration,model_name,deadline,batch_size,num_gpu,duration\n\
                    b,20,40285,bert,21347,64,12,3890\na,16566.5,1,bert,,64,4,10\n";
        let jobs = jobs(text, 8).unwrap();
        let (first, second) = (&jobs[0], &jobs[1]);
        assert_eq!(first.gang.submitted, Timestamp::from_millis(20_000));
        assert_eq!(first.gang.deadline, Some(Timestamp::from_millis(21_347_000)));
        assert_eq!(
            (first.gang.wanted.least, first.gang.wanted.ask.share),
            (2, Share::Whole(6))
        );
        assert_eq!(
            (second.gang.deadline, second.runs_ms, second.gang.run_ms),
            (None, 10_000, Some(10_000))
        );
        assert!(second.gang.is_preemptible);
        let text = "submission_time,duration,num_gpu,queue,user,priority,estimate,preemptible\n0,10,0,research,ann,-3,60,0\n";
        let gang = super::jobs(text, 8).unwrap().remove(0).gang;
        assert_eq!(
            (gang.queue.as_str(), gang.user.as_str(), gang.priority),
            ("research", "ann", -3)
        );
        assert_eq!(
            (gang.run_ms, gang.is_preemptible, gang.wanted.ask.share),
            (Some(60_000), false, Share::None)
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let refused = |line: &str| {
            let text = format!("submission_time,duration,num_gpu,priority,deadline\n{line}");
            jobs(&text, 8).unwrap_err().to_string()
        };
        assert_eq!(
            refused("-1,1,1,,"),
            "line 2: submission_time is '-1', which is no time in range"
        );
        assert_eq!(
            refused("1,NaN,1,,"),
            "line 2: duration is 'NaN', which is no time in range"
        );
        assert!(refused("1,1,1.5,,").contains("num_gpu is '1.5'"));
        assert!(refused("1,1,9999999,,").contains("num_gpu is 9999999"));
        assert!(refused("1,1,1,high,").contains("priority is 'high'"));
        assert!(refused("1,1,1,1,soon").contains("deadline is 'soon'"));
        assert!(
            jobs("submission_time,num_gpu\n1,1", 8)
                .unwrap_err()
                .to_string()
                .contains("there is no column duration")
        );
    }

    #[test]
    fn gangs_are_of_equal_workers() {
        let divided = |accelerators| divided(accelerators, 8);
        assert_eq!(
            [divided(8), divided(16), divided(12), divided(0), divided(11)],
            [(1, 8), (2, 8), (2, 6), (1, 0), (11, 1)]
        );
    }
}
