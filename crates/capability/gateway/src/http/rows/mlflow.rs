//! MLflow's scoring protocol below each endpoint's own address. An endpoint of a language model takes what MLflow's
//! deployments send to one: a chat, a prompt or texts to embed.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use corliss_http::{ApiError, Json, Path};
use corliss_types::Flavor;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::ask::{self, Given, invalid};
use super::predict;
use crate::error::GatewayError;
use crate::http::openai;
use crate::service::Gateway;

/// One of these says what is asked.
const FORMS: [&str; 4] = ["dataframe_split", "dataframe_records", "instances", "inputs"];

pub(super) async fn invoke(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
    Json(mut body): Json<Map<String, Value>>,
) -> Result<Response, ApiError> {
    let endpoint = gateway.endpoint(&name).map_err(GatewayError::into_api)?;
    if endpoint.flavor() == Flavor::Gguf {
        body.insert("model".to_owned(), Value::String(name));
        return openai::by_content(gateway, body).await;
    }
    let predictions = score(&gateway, &name, body)
        .await
        .map_err(GatewayError::into_api)?;
    Ok(Json(Scores { predictions }).into_response())
}

#[derive(serde::Serialize)]
struct Scores {
    predictions: Box<RawValue>,
}

async fn score(
    gateway: &Gateway,
    name: &str,
    mut body: Map<String, Value>,
) -> Result<Box<RawValue>, GatewayError> {
    let params = body.remove("params").unwrap_or_default();
    if !(params.is_null() || params.as_object().is_some_and(Map::is_empty)) {
        return Err(GatewayError::UnsupportedParameter {
            parameter: "params".to_owned(),
            instead: Some("a model of tensors has none"),
        });
    }
    let given: Vec<&str> = FORMS
        .into_iter()
        .filter(|form| body.contains_key(*form))
        .collect();
    let [form] = given.as_slice() else {
        let reason = format!("must have exactly one of {}", FORMS.join(", "));
        return Err(invalid("body", &reason));
    };
    let form = *form;
    let data = body.remove(form).unwrap_or_default();
    if let Some(name) = body.keys().next() {
        return Err(GatewayError::UnsupportedParameter {
            parameter: name.chars().take(80).collect(),
            instead: None,
        });
    }
    predict(gateway, name, |model| match form {
        "dataframe_split" => {
            let table: Split = read(form, data)?;
            let widths = table.data.iter().map(Vec::len);
            let width = table.columns.as_ref().map(Vec::len);
            rectangle(form, width, widths)?;
            ask::of_table(model, form, &table.columns.unwrap_or_default(), table.data)
        }
        "dataframe_records" => {
            let records: Vec<Map<String, Value>> = read(form, data)?;
            table_of(model, form, records)
        }
        "instances" => ask::of_rows(model, form, read(form, data)?),
        _ => ask::of_tensors(model, form, data),
    })
    .await
}

/// A table by its columns and its rows. The names of rows say nothing to a model.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Split {
    columns: Option<Vec<String>>,
    data: Vec<Vec<Value>>,
    #[serde(default, rename = "index")]
    _index: Value,
}

fn read<T: serde::de::DeserializeOwned>(form: &str, data: Value) -> Result<T, GatewayError> {
    serde_json::from_value(data).map_err(|error| invalid(form, &error.to_string()))
}

fn rectangle(
    form: &str,
    width: Option<usize>,
    mut widths: impl Iterator<Item = usize>,
) -> Result<(), GatewayError> {
    let Some(first) = widths.next() else {
        return Err(invalid(form, "must have at least one row"));
    };
    let width = width.unwrap_or(first);
    if first != width || widths.any(|other| other != width) {
        return Err(invalid(form, &format!("must have {width} cells in each row")));
    }
    Ok(())
}

/// Records have the columns of the first, in its order.
fn table_of(
    model: &corliss_engine::protocol::Metadata,
    form: &str,
    records: Vec<Map<String, Value>>,
) -> Result<Given, GatewayError> {
    let Some(first) = records.first() else {
        return Err(invalid(form, "must have at least one row"));
    };
    let columns: Vec<String> = first.keys().cloned().collect();
    let mut rows = Vec::with_capacity(records.len());
    for (at, mut record) in records.into_iter().enumerate() {
        let cells: Option<Vec<Value>> = columns.iter().map(|column| record.remove(column)).collect();
        match cells.filter(|_| record.is_empty()) {
            Some(cells) => rows.push(cells),
            None => {
                return Err(invalid(
                    &format!("{form}[{at}]"),
                    "must have the columns of the first record",
                ));
            }
        }
    }
    ask::of_table(model, form, &columns, rows)
}

/// Whether the endpoint takes requests; clients look at the status alone.
pub(super) async fn ping(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
) -> Result<(StatusCode, &'static str), ApiError> {
    let endpoint = gateway.endpoint(&name).map_err(GatewayError::into_api)?;
    Ok(if endpoint.is_ready() {
        (StatusCode::OK, "\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "\n")
    })
}

pub(super) async fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
