//! The traces of Muri (Zhao et al., SIGCOMM 2022), which were made of Microsoft's Philly trace: milliseconds, iterations, and
//! the model that is trained.

use corliss_sim_trace::{SimError, Table};

use super::{Cluster, Job};

/// Most jobs of a trace.
const JOBS_MAX: usize = 2_000_000;
/// Longest time that a trace may tell, in milliseconds: three centuries.
const MS_MAX: u64 = 10_000_000_000_000;
/// Iterations take so many thousandths of what the trace says, measured with Muri's own scheduler beside them.
const MEASURED: u64 = 1_015;
/// Seconds to start a model on 1, 2, 4, 8, 16 and 32 accelerators, as Muri measured them.
const STARTS_S: [(&str, [u64; 6]); 8] = [
    ("vgg16", [7, 7, 8, 9, 9, 10]),
    ("vgg19", [7, 7, 8, 9, 10, 10]),
    ("resnet18", [4, 5, 5, 7, 7, 7]),
    ("shufflenet_v2_x1_0", [4, 4, 5, 5, 7, 8]),
    ("bert", [10; 6]),
    ("gpt2", [10; 6]),
    ("a2c", [38, 39, 39, 46, 46, 46]),
    ("dqn", [5, 5, 6, 6, 8, 8]),
];
/// Of any other model.
const START_S: u64 = 10;

/// Reads a trace; its jobs are in order of arrival.
///
/// # Errors
/// If a line is not what it should be.
pub fn jobs(text: &str) -> Result<Vec<Job>, SimError> {
    let table = Table::read(
        text,
        [
            "num_gpu",
            "submit_time",
            "iterations",
            "iteration_time",
            "model_name",
        ],
    )?;
    let mut jobs = Vec::new();
    for row in table.rows() {
        let row = row?;
        let accelerators: u32 = row.number(0)?;
        if accelerators == 0 {
            return Err(row.wrong(0, "num_gpu is 0", "give at least 1"));
        }
        let submitted_ms: u64 = row.number(1)?;
        let iterations: u64 = row.number(2)?;
        let iteration_ms: u64 = row.number(3)?;
        let work_ms = iterations.checked_mul(iteration_ms).filter(|ms| *ms <= MS_MAX);
        let work_ms = work_ms.ok_or_else(|| {
            row.wrong(
                2,
                "iterations × iteration_time is more than three centuries",
                "give milliseconds",
            )
        })?;
        if submitted_ms > MS_MAX {
            return Err(row.wrong(1, "submit_time is after three centuries", "give milliseconds"));
        }
        if jobs.len() == JOBS_MAX {
            return Err(SimError::line(
                row.line,
                format!("the trace has more than {JOBS_MAX} jobs"),
                "cut it",
            ));
        }
        jobs.push(Job {
            submitted_us: submitted_ms * 1_000,
            work_us: work_ms * MEASURED,
            accelerators,
            start_us: start_s(row.text(4), accelerators) * 1_000_000,
        });
    }
    jobs.sort_by_key(|job| job.submitted_us);
    Ok(jobs)
}

fn start_s(model: &str, accelerators: u32) -> u64 {
    let known = STARTS_S.iter().find(|(name, _)| *name == model);
    let size = accelerators.next_power_of_two().trailing_zeros() as usize;
    known
        .and_then(|(_, starts)| starts.get(size))
        .copied()
        .unwrap_or(START_S)
}

/// Reads a cluster: one line with its switches, nodes to a switch and accelerators to a node.
///
/// # Errors
/// If it is not that, or there is nothing in it.
pub fn cluster(text: &str) -> Result<Cluster, SimError> {
    let table = Table::read(text, ["num_switch", "num_node_p_switch", "num_gpu_p_node"])?;
    let mut rows = table.rows();
    let Some(row) = rows.next() else {
        return Err(SimError::line(1, "there is no cluster", "add a line"));
    };
    let row = row?;
    let (switches, nodes, each): (u32, u32, u32) = (row.number(0)?, row.number(1)?, row.number(2)?);
    let cluster = Cluster {
        nodes: switches.saturating_mul(nodes),
        accelerators_per_node: each,
    };
    if cluster.accelerators() == 0 || cluster.accelerators() == u32::MAX {
        return Err(row.wrong(
            0,
            "the cluster has no accelerators, or too many",
            "give numbers from 1",
        ));
    }
    Ok(cluster)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_come_in_order_with_what_starting_them_costs() {
        let text =
            "num_gpu,submit_time,iterations,iteration_time,model_name\n8,2000,10,100,a2c\n1,1000,1,5,mine\n";
        let jobs = jobs(text).unwrap();
        let told: Vec<_> = jobs
            .iter()
            .map(|job| (job.submitted_us, job.work_us, job.accelerators, job.start_us))
            .collect();
        assert_eq!(
            told,
            [
                (1_000_000, 5_075, 1, 10_000_000),
                (2_000_000, 1_015_000, 8, 46_000_000)
            ]
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let refused = |line: &str| {
            jobs(&format!(
                "num_gpu,submit_time,iterations,iteration_time,model_name\n{line}"
            ))
            .unwrap_err()
            .to_string()
        };
        assert_eq!(refused("0,1,1,1,x"), "line 2: num_gpu is 0");
        assert!(refused("1,1,99999999999,99999999,x").contains("three centuries"));
        assert!(refused("1,-1,1,1,x").contains("submit_time is '-1'"));
        assert!(cluster("num_switch,num_node_p_switch,num_gpu_p_node\n1,0,8").is_err());
        let cluster = cluster("num_switch,num_node_p_switch,num_gpu_p_node,more\n2,4,8,1").unwrap();
        assert_eq!(cluster.accelerators(), 64);
    }
}
