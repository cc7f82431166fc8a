//! A database of PostgreSQL, read in one transaction, so that an import sees one state of it.

use std::ops::ControlFlow;
use std::pin::pin;
use std::str::FromStr;
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::runtime::Runtime;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls};

use super::cell::Cell;
use super::{Database, Row};
use crate::SourceError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection.
pub(crate) struct Postgres {
    runtime: Runtime,
    client: Client,
}

fn failed(error: &tokio_postgres::Error) -> SourceError {
    SourceError::database(error)
}

impl Postgres {
    pub fn connect(url: &str) -> Result<Self, SourceError> {
        let mut config = Config::from_str(url).map_err(|error| failed(&error))?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        // As the drivers that MLflow uses take it.
        if let (None, Ok(password)) = (config.get_password(), std::env::var("PGPASSWORD")) {
            config.password(password);
        }
        config.application_name("corliss");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| SourceError::database(&error))?;
        let client = runtime.block_on(async {
            let (client, connection) = config.connect(NoTls).await?;
            // It ends with the client; what breaks it is told by the next statement.
            tokio::spawn(connection);
            client
                .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                .await?;
            Ok(client)
        });
        Ok(Self {
            client: client.map_err(|error| failed(&error))?,
            runtime,
        })
    }
}

impl Database for Postgres {
    const COLUMNS: &'static str = "SELECT CAST(column_name AS TEXT) FROM information_schema.columns
        WHERE table_schema = ANY (current_schemas(false)) AND table_name = $1";

    fn each(
        &mut self,
        sql: &str,
        params: &[&str],
        each: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let client = &self.client;
        let params = params.iter().map(|text| text as &(dyn ToSql + Sync));
        self.runtime.block_on(async {
            // Rows come as they are read: the connection holds a few of them back.
            let rows = client.query_raw(sql, params.collect::<Vec<_>>()).await;
            let mut rows = pin!(rows.map_err(|error| failed(&error))?);
            while let Some(row) = rows.try_next().await.map_err(|error| failed(&error))? {
                let cells = (0..row.len()).map(|column| cell(&row, column));
                if each(cells.collect::<Result<_, _>>()?).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }
}

fn cell(row: &tokio_postgres::Row, column: usize) -> Result<Cell, SourceError> {
    let found = match *row.columns()[column].type_() {
        Type::INT2 => row
            .try_get::<_, Option<i16>>(column)
            .map(|number| number.map(|number| Cell::Integer(number.into()))),
        Type::INT4 => row
            .try_get::<_, Option<i32>>(column)
            .map(|number| number.map(|number| Cell::Integer(number.into()))),
        Type::INT8 => row
            .try_get::<_, Option<i64>>(column)
            .map(|number| number.map(Cell::Integer)),
        Type::FLOAT4 => row
            .try_get::<_, Option<f32>>(column)
            .map(|number| number.map(|number| Cell::Real(number.into()))),
        Type::FLOAT8 => row
            .try_get::<_, Option<f64>>(column)
            .map(|number| number.map(Cell::Real)),
        _ => row
            .try_get::<_, Option<String>>(column)
            .map(|text| text.map(Cell::Text)),
    };
    Ok(found.map_err(|error| failed(&error))?.unwrap_or(Cell::Null))
}
