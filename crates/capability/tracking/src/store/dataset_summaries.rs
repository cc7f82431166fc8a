//! The datasets of experiments, each once for each thing that it was read for.

use corliss_metastore::{StoreError, Tx};

use crate::types::DatasetSummary;

/// What a dataset was read for is a tag of it.
const CONTEXT: &str = "mlflow.data.context";

pub(crate) fn dataset_summaries(
    tx: &mut dyn Tx,
    experiments: &[i64],
    limit: i64,
) -> Result<Vec<DatasetSummary>, StoreError> {
    let mut found = Vec::new();
    for mut values in super::number_lists(experiments) {
        let list = super::list(values.len());
        let (context, most) = (values.len() + 1, values.len() + 2);
        let sql = format!(
            "SELECT DISTINCT r.experiment_id, d.name, d.digest, t.value AS context
             FROM tracking_runs r JOIN tracking_datasets d ON d.run_no = r.run_no
             LEFT JOIN tracking_dataset_tags t
                 ON t.run_no = d.run_no AND t.name = d.name AND t.digest = d.digest AND t.key = ${context}
             WHERE r.experiment_id IN ({list}) ORDER BY r.experiment_id, d.name, d.digest, t.value LIMIT ${most}"
        );
        values.extend([CONTEXT.into(), limit.into()]);
        for row in tx.query(&sql, &values)? {
            found.push(DatasetSummary {
                experiment_id: row.integer("experiment_id")?,
                name: row.text("name")?,
                digest: row.text("digest")?,
                context: row.opt_text("context")?,
            });
        }
    }
    Ok(found)
}
