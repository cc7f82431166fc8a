//! The traces of Alibaba's `OpenB` (Weng et al., USENIX ATC 2023): nodes with accelerators of several models, and pods that
//! ask for parts of one, for one, or for several.

use std::collections::{BTreeMap, BTreeSet};

use corliss_policy_scheduling::nodes::{Ask, Node, Share, WHOLE};
use corliss_sim_trace::{Row, SimError, Table};

/// Most accelerators of a node.
const ACCELERATORS_MAX: u32 = 64;

/// Models of accelerators, each with its number.
#[derive(Debug, Clone, Default)]
pub struct Models(BTreeMap<String, u16>);

impl Models {
    fn number(&mut self, name: &str) -> u16 {
        let next = u16::try_from(self.0.len()).unwrap_or(u16::MAX);
        *self.0.entry(name.to_owned()).or_insert(next)
    }
}

/// Reads nodes on which nothing runs.
///
/// # Errors
/// If a line is not what it should be.
pub fn nodes(text: &str, models: &mut Models) -> Result<Vec<Node>, SimError> {
    let table = Table::read(text, ["cpu_milli", "memory_mib", "gpu", "model"])?;
    let rows = table.rows().map(|row| {
        let row = row?;
        let count: u32 = row.number(2)?;
        if count > ACCELERATORS_MAX {
            let problem = format!("gpu is {count}");
            return Err(row.wrong(2, problem, format!("a node has at most {ACCELERATORS_MAX}")));
        }
        Ok(Node {
            model: models.number(row.text(3)),
            cpu_milli: row.number::<u32>(0)?.into(),
            memory: row.number::<u32>(1)?.into(),
            accelerators: vec![WHOLE; count as usize],
            is_spot: false,
        })
    });
    rows.collect()
}

/// Reads what pods ask for. The column `gpu_spec`, which names the models that will do with a bar between them, may be left
/// out.
///
/// # Errors
/// If a line is not what it should be.
pub fn pods(text: &str, models: &mut Models) -> Result<Vec<Ask>, SimError> {
    const NEEDED: [&str; 4] = ["cpu_milli", "memory_mib", "num_gpu", "gpu_milli"];
    let [cpu, memory, count, milli] = NEEDED;
    match Table::read(text, [cpu, memory, count, milli, "gpu_spec"]) {
        Ok(table) => {
            let rows = table.rows().map(|row| {
                let row = row?;
                let names = row.text(4).split('|').filter(|name| !name.is_empty());
                let wanted = names.map(|name| models.number(name)).collect();
                ask(&row, wanted)
            });
            rows.collect()
        }
        Err(_) => {
            let table = Table::read(text, NEEDED)?;
            table.rows().map(|row| ask(&row?, BTreeSet::new())).collect()
        }
    }
}

fn ask<const COLUMNS: usize>(row: &Row<'_, COLUMNS>, models: BTreeSet<u16>) -> Result<Ask, SimError> {
    let (count, milli): (u32, i16) = (row.number(2)?, row.number(3)?);
    let share = match (count, milli) {
        (0, _) => Share::None,
        (1, 1..WHOLE) => Share::Part(milli),
        (count, WHOLE) if count <= ACCELERATORS_MAX => Share::Whole(count),
        _ => {
            let problem = format!("gpu_milli is {milli} for {count} accelerators");
            return Err(row.wrong(3, problem, "give 1 to 1000 for one, and 1000 for several"));
        }
    };
    Ok(Ask {
        cpu_milli: row.number::<u32>(0)?.into(),
        memory: row.number::<u32>(1)?.into(),
        share,
        models,
        avoids_spot: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_and_nodes_know_models_by_the_same_numbers() {
        let mut models = Models::default();
        let nodes = nodes(
            "sn,cpu_milli,memory_mib,gpu,model\na,64000,10,2,P100\nb,1,1,8,T4\n",
            &mut models,
        )
        .unwrap();
        assert_eq!((nodes[0].accelerators.len(), nodes[1].model), (2, 1));
        let text = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\np,4000,1,1,460,T4|V100\nq,1,1,0,0,\nr,1,1,8,1000,\n";
        let pods = pods(text, &mut models).unwrap();
        assert_eq!(pods[0].models, BTreeSet::from([1, 2]));
        let shares: Vec<Share> = pods.iter().map(|pod| pod.share).collect();
        assert_eq!(shares, [Share::Part(460), Share::None, Share::Whole(8)]);
    }

    #[test]
    fn shares_that_are_none_are_refused() {
        let refused = |line: &str| {
            let text = format!("cpu_milli,memory_mib,num_gpu,gpu_milli\n{line}");
            pods(&text, &mut Models::default()).unwrap_err().to_string()
        };
        assert_eq!(
            refused("1,1,2,500"),
            "line 2: gpu_milli is 500 for 2 accelerators"
        );
        assert_eq!(refused("1,1,1,0"), "line 2: gpu_milli is 0 for 1 accelerators");
        assert!(refused("1,1,-1,0").contains("num_gpu is '-1'"));
    }
}
