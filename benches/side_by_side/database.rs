//! The benchmark's own way into its databases: as the owner, one connection for each statement, so
//! that nobody is connected while something is measured or copied.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, postgres::PgRow};

use crate::Result;

/// One database of the private server.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) url: String,
}

impl Database {
    /// Runs statements.
    pub(crate) async fn run(&self, statements: impl Into<String>) -> Result<()> {
        let mut connection = PgConnection::connect(&self.url).await?;
        sqlx::raw_sql(AssertSqlSafe(statements.into()))
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }

    /// The rows of a query; each becomes JSON in its only column.
    pub(crate) async fn rows(&self, query: impl Into<String>) -> Result<Vec<Value>> {
        let query = format!("SELECT to_jsonb(r) FROM ({}) r", query.into());
        let mut connection = PgConnection::connect(&self.url).await?;
        let rows: Vec<PgRow> = sqlx::raw_sql(AssertSqlSafe(query))
            .fetch_all(&mut connection)
            .await?;
        connection.close().await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// The first row of a query; an error when there is none.
    pub(crate) async fn row(&self, query: impl Into<String>) -> Result<Value> {
        let query = query.into();
        let first = self.rows(query.clone()).await?.into_iter().next();
        first.ok_or_else(|| format!("no row: {query}").into())
    }

    /// The number in the only column, named `n`, of the only row.
    pub(crate) async fn number(&self, query: impl Into<String>) -> Result<u32> {
        let row = self.row(query).await?;
        let number = row.get("n").and_then(Value::as_u64).ok_or("no number n")?;
        Ok(u32::try_from(number)?)
    }
}

/// A member of a row that is text.
pub(crate) fn text<'a>(row: &'a Value, name: &str) -> Result<&'a str> {
    row.get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("no text {name} in {row}").into())
}

/// A text as a literal of SQL.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
