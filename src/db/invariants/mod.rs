//! What must hold of the stored data at every moment, each as one statement that reads only and
//! returns who breaks it.
//!
//! A change of a call is one transaction, so most of this holds exactly; where something may be on
//! its way (a lease, a schedule, a running operation) the statement allows it the time it has. The
//! statements look at every row, and so run without the requests' time limit: 100,000 calls with
//! 600,000 events took 7 s, the slowest statement 3 s. They take no lock that anybody waits for.

mod calls;
mod money;
mod queues;
mod schema;

use std::time::Duration;

use sqlx::{Connection, PgConnection};

use super::{Db, constraint, unavailable};
use crate::domain::{Result, Timestamp};

/// One invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    /// What holds.
    pub says: &'static str,
}

/// An invariant and the statement that finds at most 20 who break it, as texts. `$1` is the present
/// instant, where the statement needs one.
struct Statement {
    check: Check,
    sql: &'static str,
}

const STATEMENTS: [&[Statement]; 4] = [
    &calls::STATEMENTS,
    &money::STATEMENTS,
    &queues::STATEMENTS,
    &schema::STATEMENTS,
];

/// How long one statement may run.
const PATIENCE: Duration = Duration::from_mins(30);

/// Runs every check, one after the other, on a connection of its own. An invariant holds when
/// nobody breaks it; of those who do, the first 20 are returned, as `organization/call` or whatever
/// names them.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`; what was checked before is lost then.
pub async fn run(db: &Db, now: Timestamp) -> Result<Vec<(Check, Vec<String>)>> {
    let mut connection = reader(db).await?;
    let mut results = Vec::new();
    for Statement { check, sql } in STATEMENTS.into_iter().flatten() {
        let query = sqlx::query_scalar::<_, String>(*sql);
        let query = if sql.contains("$1") {
            query.bind(now)
        } else {
            query
        };
        let offenders = tokio::time::timeout(PATIENCE, query.fetch_all(&mut connection))
            .await
            .map_err(|elapsed| unavailable().because(check.name, elapsed))?
            .map_err(|error| constraint::to_error(check.name, error))?;
        results.push((*check, offenders));
    }
    connection
        .close()
        .await
        .map_err(|error| constraint::to_error("close the audit's connection", error))?;
    Ok(results)
}

/// A connection that only reads and may take its time. It never goes back to the pool.
async fn reader(db: &Db) -> Result<PgConnection> {
    let doing = "prepare the audit's connection";
    let taken = db.run("connect for the audit", db.pool.take()).await?;
    let mut connection = taken.detach().ok_or_else(unavailable)?;
    let millis = PATIENCE.as_millis().to_string();
    let settings = sqlx::query!(
        "/* db::invariants::reader */ SELECT set_config('statement_timeout', $1, false) AS patience,
            set_config('default_transaction_read_only', 'on', false) AS reading",
        millis
    );
    db.run(doing, settings.fetch_one(&mut connection)).await?;
    Ok(connection)
}
