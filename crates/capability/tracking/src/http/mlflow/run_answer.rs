//! Runs and metrics in MLflow's JSON, written as they are: a page of a thousand runs has tens of thousands of objects,
//! and to build each as a value first took longer than to find them.

use serde::{Serialize, Serializer};

use crate::types::{DatasetInput, KeyValue, Metric, ModelLink, Run, RunInfo};

/// A page of runs.
#[derive(Serialize)]
pub(super) struct RunPage<'a> {
    pub runs: Vec<RunAnswer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A page of points of one metric.
#[derive(Serialize)]
pub(super) struct MetricPage<'a> {
    pub metrics: Vec<MetricAnswer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Points of one metric of several runs.
#[derive(Serialize)]
pub(super) struct MetricsOfRuns<'a> {
    pub metrics: Vec<MetricOfRun<'a>>,
}

/// A run with all that it logged.
#[derive(Serialize)]
pub(super) struct RunAnswer<'a> {
    info: RunInfoAnswer<'a>,
    data: Data<'a>,
    inputs: Inputs<'a>,
    outputs: Outputs<'a>,
}

/// What a run is.
#[derive(Serialize)]
pub(super) struct RunInfoAnswer<'a> {
    run_id: &'a str,
    run_uuid: &'a str,
    run_name: &'a str,
    experiment_id: String,
    user_id: &'a str,
    status: &'static str,
    start_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    lifecycle_stage: &'static str,
    artifact_uri: &'a str,
}

#[derive(Serialize)]
struct Data<'a> {
    metrics: Vec<MetricAnswer<'a>>,
    params: Vec<Pair<'a>>,
    tags: Vec<Pair<'a>>,
}

#[derive(Serialize)]
struct Pair<'a> {
    key: &'a str,
    value: &'a str,
}

/// A point of a metric.
#[derive(Serialize)]
pub(super) struct MetricAnswer<'a> {
    key: &'a str,
    value: Real,
    timestamp: i64,
    step: i64,
}

/// A point of a metric that says which run logged it.
#[derive(Serialize)]
pub(super) struct MetricOfRun<'a> {
    #[serde(flatten)]
    metric: MetricAnswer<'a>,
    run_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_digest: Option<&'a str>,
}

#[derive(Serialize)]
struct Inputs<'a> {
    dataset_inputs: Vec<DatasetAnswer<'a>>,
    model_inputs: Vec<ModelAnswer<'a>>,
}

#[derive(Serialize)]
struct Outputs<'a> {
    model_outputs: Vec<ModelAnswer<'a>>,
}

#[derive(Serialize)]
struct ModelAnswer<'a> {
    model_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<i64>,
}

#[derive(Serialize)]
struct DatasetAnswer<'a> {
    dataset: Dataset<'a>,
    tags: Vec<Pair<'a>>,
}

#[derive(Serialize)]
struct Dataset<'a> {
    name: &'a str,
    digest: &'a str,
    source_type: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
}

/// A double. JSON has no NaN; protobuf's JSON, which clients parse, spells it as a word.
struct Real(f64);

impl Serialize for Real {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_nan() => serializer.serialize_str("NaN"),
            f64::INFINITY => serializer.serialize_str("Infinity"),
            f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
            value => serializer.serialize_f64(value),
        }
    }
}

fn pairs(pairs: &[KeyValue]) -> Vec<Pair<'_>> {
    let pairs = pairs.iter();
    pairs.map(|KeyValue { key, value }| Pair { key, value }).collect()
}

impl<'a> From<&'a Run> for RunAnswer<'a> {
    fn from(run: &'a Run) -> Self {
        let links = |output: bool| {
            let links = run.models.iter().filter(move |link| link.output == output);
            links
                .map(|ModelLink { model_id, step, .. }| ModelAnswer {
                    model_id,
                    step: output.then_some(*step),
                })
                .collect()
        };
        Self {
            info: (&run.info).into(),
            data: Data {
                metrics: run.metrics.iter().map(MetricAnswer::from).collect(),
                params: pairs(&run.params),
                tags: pairs(&run.tags),
            },
            inputs: Inputs {
                dataset_inputs: run.datasets.iter().map(DatasetAnswer::from).collect(),
                model_inputs: links(false),
            },
            outputs: Outputs {
                model_outputs: links(true),
            },
        }
    }
}

impl<'a> From<&'a RunInfo> for RunInfoAnswer<'a> {
    fn from(info: &'a RunInfo) -> Self {
        Self {
            run_id: &info.run_id,
            run_uuid: &info.run_id,
            run_name: &info.name,
            experiment_id: info.experiment_id.to_string(),
            user_id: &info.user,
            status: info.status.as_str(),
            start_time: info.start_ms,
            end_time: info.end_ms,
            lifecycle_stage: info.lifecycle.as_str(),
            artifact_uri: &info.artifact_uri,
        }
    }
}

impl<'a> From<&'a Metric> for MetricAnswer<'a> {
    fn from(metric: &'a Metric) -> Self {
        Self {
            key: &metric.key,
            value: Real(metric.value),
            timestamp: metric.logged_ms,
            step: metric.step,
        }
    }
}

impl<'a> MetricOfRun<'a> {
    /// A metric that this run logged.
    pub fn new(run_id: &'a str, metric: &'a Metric) -> Self {
        let dataset = metric.dataset.as_ref();
        Self {
            metric: metric.into(),
            run_id,
            model_id: metric.model_id.as_deref(),
            dataset_name: dataset.map(|(name, _)| name.as_str()),
            dataset_digest: dataset.map(|(_, digest)| digest.as_str()),
        }
    }
}

impl<'a> From<&'a DatasetInput> for DatasetAnswer<'a> {
    fn from(input: &'a DatasetInput) -> Self {
        Self {
            dataset: Dataset {
                name: &input.name,
                digest: &input.digest,
                source_type: &input.source_type,
                source: &input.source,
                schema: input.schema.as_deref(),
                profile: input.profile.as_deref(),
            },
            tags: pairs(&input.tags),
        }
    }
}
