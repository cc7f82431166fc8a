//! MLflow's scoring protocol below each endpoint's own address. An endpoint of a language model takes what MLflow's
//! deployments send to one: a chat, a prompt or texts to embed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use corliss_engine::protocol::Metadata;
use corliss_http::{ApiError, Json, Path, json_words};
use http::StatusCode;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::ask::{self, Given, invalid};
use super::predict;
use crate::error::GatewayError;
use crate::http::openai;
use crate::service::Gateway;
use crate::service::call::Origin;

/// One of these says what is asked.
const FORMS: [&str; 4] = ["dataframe_split", "dataframe_records", "instances", "inputs"];

/// Of a column's name, in an error.
const NAME_SHOWN: usize = 80;

/// Members are kept as text, because records have their columns in an order.
type Body = BTreeMap<String, Box<RawValue>>;

pub(super) async fn invoke(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
    origin: Origin,
    Json(body): Json<Body>,
) -> Result<Response, ApiError> {
    let endpoint = gateway.endpoint(&name).map_err(GatewayError::into_mlflow)?;
    if endpoint.speaks() {
        let members = body
            .into_iter()
            .map(|(member, value)| read(&member, &value).map(|value| (member, value)));
        let mut body: Map<String, Value> = members
            .collect::<Result<_, _>>()
            .map_err(GatewayError::into_mlflow)?;
        body.insert("model".to_owned(), Value::String(name));
        return openai::by_content(gateway, origin, body).await;
    }
    let predictions = score(&gateway, &name, origin, body)
        .await
        .map_err(GatewayError::into_mlflow)?;
    Ok(Json(Scores { predictions }).into_response())
}

#[derive(serde::Serialize)]
struct Scores {
    predictions: Box<RawValue>,
}

async fn score(
    gateway: &Gateway,
    name: &str,
    origin: Origin,
    mut body: Body,
) -> Result<Box<RawValue>, GatewayError> {
    let params: Option<Map<String, Value>> = match body.remove("params") {
        Some(params) => read("params", &params)?,
        None => None,
    };
    let given: Vec<&str> = FORMS
        .into_iter()
        .filter(|form| body.contains_key(*form))
        .collect();
    let [form] = given.as_slice() else {
        let reason = format!("must have exactly one of {}", FORMS.join(", "));
        return Err(invalid("body", &reason));
    };
    let form = *form;
    let data = body.remove(form).ok_or_else(|| invalid(form, "is missing"))?;
    if let Some(name) = body.keys().next() {
        return Err(GatewayError::UnsupportedParameter {
            parameter: name.chars().take(80).collect(),
            instead: None,
        });
    }
    let given = |model: &Metadata| match form {
        "dataframe_split" => {
            let table: Split = read(form, &data)?;
            table.check(form)?;
            ask::of_table(model, form, &table.columns.unwrap_or_default(), table.data)
        }
        "dataframe_records" => {
            let records: Vec<Record> = read(form, &data)?;
            table_of(model, form, records)
        }
        "instances" => ask::of_rows(model, form, read(form, &data)?),
        _ => ask::of_tensors(model, form, read(form, &data)?),
    };
    predict(gateway, name, origin, |model| {
        ask::with_params(model, params.unwrap_or_default(), given(model)?)
    })
    .await
}

/// A table by its columns and its rows. The names of rows say nothing to a model.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Split {
    columns: Option<Vec<String>>,
    data: Vec<Vec<Value>>,
    index: Option<Vec<Value>>,
}

impl Split {
    /// Whether its parts belong together: what of them is the wrong one nobody can tell.
    fn check(&self, form: &str) -> Result<(), GatewayError> {
        let columns = self.columns.as_deref();
        rectangle(form, columns.map(<[_]>::len), self.data.iter().map(Vec::len))?;
        let mut seen = BTreeSet::new();
        let mut named = columns.unwrap_or_default().iter().enumerate();
        if let Some((at, column)) = named.find(|(_, column)| !seen.insert(column.as_str())) {
            let column: String = column.chars().take(NAME_SHOWN).collect();
            let place = format!("{form}.columns[{at}]");
            return Err(invalid(
                &place,
                &format!("names '{column}' again; each column has a name of its own"),
            ));
        }
        match &self.index {
            Some(index) if index.len() != self.data.len() => {
                let (names, rows) = (index.len(), self.data.len());
                let reason =
                    format!("has {names} entries for {rows} rows; give one for each row, or leave it out");
                Err(invalid(&format!("{form}.index"), &reason))
            }
            _ => Ok(()),
        }
    }
}

fn read<T: DeserializeOwned>(member: &str, data: &RawValue) -> Result<T, GatewayError> {
    // Where in the text it stands is where it stands in this member alone, which would mislead.
    serde_json::from_str(data.get()).map_err(|error| invalid(member, &json_words(&error.to_string()).reason))
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

/// An object as columns and cells, in the order in which it has them.
struct Record(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cells;
        impl<'de> Visitor<'de> for Cells {
            type Value = Record;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a cell for each column")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Record, A::Error> {
                let mut cells = Vec::new();
                while let Some(cell) = members.next_entry()? {
                    cells.push(cell);
                }
                Ok(Record(cells))
            }
        }
        deserializer.deserialize_map(Cells)
    }
}

/// Records have the columns of the first, in its order.
fn table_of(model: &Metadata, form: &str, records: Vec<Record>) -> Result<Given, GatewayError> {
    let Some(Record(first)) = records.first() else {
        return Err(invalid(form, "must have at least one row"));
    };
    let columns: Vec<String> = first.iter().map(|(column, _)| column.clone()).collect();
    let mut rows = Vec::with_capacity(records.len());
    for (at, Record(mut cells)) in records.into_iter().enumerate() {
        let place = |(column, _): &(String, Value)| columns.iter().position(|known| known == column);
        let wrong = || {
            let place = format!("{form}[{at}]");
            Err(invalid(&place, "must have each column of the first record once"))
        };
        if cells.len() != columns.len() || cells.iter().any(|cell| place(cell).is_none()) {
            return wrong();
        }
        cells.sort_by_key(place);
        if cells.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return wrong();
        }
        rows.push(cells.into_iter().map(|(_, cell)| cell).collect());
    }
    ask::of_table(model, form, &columns, rows)
}

/// Whether the endpoint takes requests; clients look at the status alone.
pub(super) async fn ping(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
) -> Result<(StatusCode, &'static str), ApiError> {
    let endpoint = gateway.endpoint(&name).map_err(GatewayError::into_mlflow)?;
    Ok(if endpoint.is_ready() {
        (StatusCode::OK, "\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "\n")
    })
}

pub(super) async fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

#[cfg(test)]
mod tests {
    use corliss_engine::protocol::TensorMetadata;
    use corliss_types::Flavor;
    use serde_json::json;

    use super::*;

    fn model() -> Metadata {
        Metadata {
            name: "m".to_owned(),
            versions: Vec::new(),
            platform: String::new(),
            flavor: Flavor::Onnx,
            inputs: vec![TensorMetadata {
                name: "x".to_owned(),
                datatype: "FP32".to_owned(),
                shape: vec![-1, 3],
            }],
            outputs: Vec::new(),
            parameters: Vec::new(),
            batching: None,
            language: None,
        }
    }

    #[test]
    fn records_keep_the_order_of_their_columns() {
        let table = |text: &str| table_of(&model(), "f", serde_json::from_str(text).unwrap());
        let given = table(r#"[{"z": 1, "a": 2, "m": 3}, {"m": 6, "z": 4, "a": 5}]"#).unwrap();
        let body: Value = serde_json::from_slice(&given.body().unwrap()).unwrap();
        assert_eq!(body["inputs"][0]["data"], json!([[1, 2, 3], [4, 5, 6]]));
        for wrong in [
            r#"[{"z": 1}, {"a": 2}]"#,
            r#"[{"z": 1}, {"z": 1, "a": 2}]"#,
            r#"[{"z": 1, "a": 2}, {"z": 1, "z": 2}]"#,
        ] {
            assert!(table(wrong).unwrap_err().to_string().contains("f[1]"), "{wrong}");
        }
        assert!(table("[]").is_err());
    }

    #[test]
    fn what_a_member_must_be_is_told_in_words_of_json() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        for (told, words) in [
            (read::<Split>("f", &raw("7")).err(), "f: must be an object, not 7"),
            (
                read::<Split>("f", &raw(r#"{"data": {}}"#)).err(),
                "f: must be a list, not an object",
            ),
            (read::<Split>("f", &raw("{}")).err(), "f: 'data' is missing"),
            (
                read::<Split>("f", &raw(r#"{"data": [], "colums": []}"#)).err(),
                "f: 'colums' is not known; there are columns, data, index",
            ),
            (
                read::<Vec<Record>>("f", &raw("[7]")).err(),
                "f: must be an object with a cell for each column, not 7",
            ),
            (
                read::<Map<String, Value>>("params", &raw("[]")).err(),
                "params: must be an object, not a list",
            ),
        ] {
            assert_eq!(told.unwrap().to_string(), words);
        }
    }

    #[test]
    fn the_parts_of_a_table_belong_together() {
        let told = |text: &str| {
            let table: Split = serde_json::from_str(text).unwrap();
            table.check("f").err().map(|error| error.to_string())
        };
        for sound in [
            r#"{"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}"#,
            r#"{"columns": ["a", "b"], "data": [[1, 2], [3, 4]], "index": null}"#,
            r#"{"columns": ["a", "b"], "data": [[1, 2], [3, 4]], "index": [0, "two"]}"#,
            r#"{"data": [[1, 2]], "index": [7]}"#,
        ] {
            assert_eq!(told(sound), None, "{sound}");
        }
        assert_eq!(
            told(r#"{"columns": ["a", "b"], "data": [[1, 2], [3, 4]], "index": [0]}"#).unwrap(),
            "f.index: has 1 entries for 2 rows; give one for each row, or leave it out"
        );
        assert!(
            told(r#"{"data": [[1]], "index": []}"#)
                .unwrap()
                .starts_with("f.index: has 0 entries")
        );
        assert_eq!(
            told(r#"{"columns": ["a", "b", "a"], "data": [[1, 2, 3]]}"#).unwrap(),
            "f.columns[2]: names 'a' again; each column has a name of its own"
        );
    }

    #[test]
    fn rows_of_a_table_are_of_one_width() {
        assert!(rectangle("f", Some(2), [2, 2].into_iter()).is_ok());
        assert!(rectangle("f", None, [2, 3].into_iter()).is_err());
        assert!(rectangle("f", Some(3), [2, 2].into_iter()).is_err());
        assert!(rectangle("f", None, [].into_iter()).is_err());
    }
}
