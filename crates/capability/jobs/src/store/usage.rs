//! What is accounted of jobs.

use std::collections::BTreeMap;

use corliss_executor::TaskExit;
use corliss_metastore::{Row, Tx, lists, params};
use corliss_types::{JobId, Resources, Timestamp};
use serde::Deserialize;

use super::Load;
use super::read::{bad, json, small};
use crate::usage::Account;
use crate::{JobKind, Terms};

/// What of a specification is accounted.
#[derive(Deserialize)]
struct Spec {
    kind: JobKind,
}

/// Jobs that waited or held something between these moments, by id, after the job `after`.
pub(crate) fn accounts(
    tx: &mut dyn Tx,
    (from, to): (Timestamp, Timestamp),
    after: Option<&JobId>,
    limit: usize,
) -> Load<Vec<(JobId, Account)>> {
    let rows = tx.query(
        "SELECT id, workers, cpu_milli, memory_bytes, accelerators, spec, terms, class, created_ms, admitted_ms,
             ended_ms, saved_ms
         FROM jobs_jobs
         WHERE created_ms < $1 AND (ended_ms IS NULL OR ended_ms >= $2) AND (CAST($3 AS TEXT) IS NULL OR id > $3)
         ORDER BY id LIMIT $4",
        params![to, from, after.map(|id| id.as_str().to_owned()), limit],
    )?;
    let mut accounts = Vec::with_capacity(rows.len());
    for row in &rows {
        accounts.push((row.parse::<JobId>("id")?, account(row)?));
    }
    let ids: Vec<JobId> = accounts.iter().map(|(id, _)| id.clone()).collect();
    let used = cpu_time(tx, &ids)?;
    for (id, account) in &mut accounts {
        account.cpu_time_ms = used.get(id.as_str()).copied().unwrap_or(0);
    }
    Ok(accounts)
}

fn account(row: &Row) -> Load<Account> {
    let terms: Terms = json(row, "terms")?.unwrap_or_default();
    let spec: Spec = json(row, "spec")?.ok_or_else(|| bad(row, "it has no specification"))?;
    let each = Resources {
        cpu_milli: row.unsigned("cpu_milli")?,
        memory_bytes: row.unsigned("memory_bytes")?,
        accelerators: small(row, "accelerators")?,
    };
    Ok(Account {
        user: terms.user,
        project: terms.project,
        queue: terms.queue,
        kind: spec.kind,
        held: each.times(small(row, "workers")?),
        created: row.timestamp("created_ms")?,
        admitted: row.opt_timestamp("admitted_ms")?,
        ended: row.opt_timestamp("ended_ms")?,
        saved: row.opt_timestamp("saved_ms")?,
        class: row.opt_parse("class")?,
        cpu_time_ms: 0,
    })
}

/// CPU time of the processes of these jobs that have ended, in milliseconds.
fn cpu_time(tx: &mut dyn Tx, jobs: &[JobId]) -> Load<BTreeMap<String, u64>> {
    let mut used: BTreeMap<String, u64> = BTreeMap::new();
    for list in lists::in_lists(jobs, |id| id.into()) {
        let statement = format!(
            "SELECT job_id AS id, exit FROM jobs_tasks WHERE exit IS NOT NULL AND job_id IN ({})",
            lists::list(list.len())
        );
        for row in tx.query(&statement, &list)? {
            let exit: Option<TaskExit> = json(&row, "exit")?;
            let time = exit.and_then(|exit| exit.cpu_time_ms).unwrap_or(0);
            let of_job = used.entry(row.text("id")?).or_default();
            *of_job = of_job.saturating_add(time);
        }
    }
    Ok(used)
}
