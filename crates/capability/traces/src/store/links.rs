//! What traces are linked to: runs and versions of prompts.
//!
//! A link to a run names the trace by its id, because clients link traces whose export is still under way.

use corliss_metastore::{StoreError, Tx, params};

/// Links traces to a run; links that are there already stay.
pub(crate) fn link_runs(tx: &mut dyn Tx, run_id: &str, trace_ids: &[String]) -> Result<(), StoreError> {
    for trace_id in trace_ids {
        tx.execute(
            "INSERT INTO traces_run_links (run_id, trace_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            params![run_id, trace_id],
        )?;
    }
    Ok(())
}

/// The runs that a trace was made in or linked to, in order of their ids, from behind one on. Its metadata names the run
/// that its client made it in.
pub(crate) fn runs_of(
    tx: &mut dyn Tx,
    trace_id: &str,
    number: i64,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = tx.query(
        "SELECT run_id FROM traces_run_links WHERE trace_id = $1 AND run_id > $3
         UNION SELECT value AS run_id FROM traces_metadata WHERE number = $2 AND key = 'mlflow.sourceRun' AND value > $3
         ORDER BY run_id LIMIT $4",
        params![trace_id, number, after, limit],
    )?;
    rows.iter().map(|row| row.text("run_id")).collect()
}

/// Links a trace to versions of prompts (`name/version`); links that are there already stay.
pub(crate) fn link_prompts(tx: &mut dyn Tx, number: i64, prompts: &[String]) -> Result<(), StoreError> {
    for prompt in prompts {
        tx.execute(
            "INSERT INTO traces_prompt_links (prompt, number) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            params![prompt, number],
        )?;
    }
    Ok(())
}
