//! How many statements of the server an operation costs, counted by `pg_stat_statements`.
//!
//! The server's statements begin with the name of the function that sends them. What its loops send
//! meanwhile is known from an idle interval and taken off.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Result,
    children::Server,
    client::{self, Connection},
    database::text,
    ends,
    stand::Stand,
};

/// Operations counted.
const OPERATIONS: u32 = 200;

/// How long the loops are listened to alone.
const IDLE: Duration = Duration::from_secs(3);

/// Statements that each operation costs.
pub(crate) struct Counted {
    pub(crate) list: f64,
    pub(crate) list_writes: f64,
    pub(crate) end: f64,
    /// Of the deliveries of the events of one end.
    pub(crate) deliveries: f64,
}

/// Calls by statement.
type Counts = BTreeMap<String, f64>;

/// Counts; nothing else may run meanwhile.
pub(crate) async fn count(stand: &Stand) -> Result<Counted> {
    let server = stand.whole().await?;
    // What earlier samples left to be delivered is not these requests'.
    ends::delivered(stand).await?;
    reset(stand).await?;
    tokio::time::sleep(IDLE).await;
    let idle = read(stand).await?;

    let headers = [("authorization", stand.few.authorization.as_str())];
    let list = client::request("GET", "/api/v1/calls?status=ongoing&limit=50", &headers, "");
    let lists = (0..OPERATIONS).map(|_| list.clone()).collect();
    let lists = counted(stand, &server, lists, &idle).await?;

    stand.provider.reset(0).await?;
    let calls = ends::make(stand, usize::try_from(OPERATIONS)?).await?;
    let requests = calls
        .iter()
        .map(|call| ends::request(stand, call))
        .collect();
    let ends = counted(stand, &server, requests, &idle).await?;
    server.running.end().await?;
    let delivers = |name: &str| name.contains("db::webhook_deliveries::");
    Ok(Counted {
        list: each(&lists, |_| true),
        list_writes: each(&lists, writes),
        end: each(&ends, |name| !delivers(name)),
        deliveries: each(&ends, delivers),
    })
}

/// What the server sends for these requests, one after the other, and for the events they cause.
async fn counted(
    stand: &Stand,
    server: &Server,
    requests: Vec<Vec<u8>>,
    idle: &Counts,
) -> Result<Counts> {
    let mut connection = Connection::open(server.address).await?;
    reset(stand).await?;
    let started = Instant::now();
    for request in &requests {
        let status = connection.exchange(request).await?.status;
        if status != 200 {
            return Err(format!("a counted request was answered with {status}").into());
        }
    }
    ends::delivered(stand).await?;
    Ok(less_idle(read(stand).await?, idle, started.elapsed()))
}

async fn reset(stand: &Stand) -> Result<()> {
    stand.main.run("SELECT pg_stat_statements_reset()").await
}

async fn read(stand: &Stand) -> Result<Counts> {
    let rows = stand
        .main
        .rows("SELECT query, calls FROM pg_stat_statements WHERE query LIKE '/* db::%'")
        .await?;
    rows.iter()
        .map(|row| {
            let calls = row.get("calls").and_then(Value::as_f64);
            Ok((text(row, "query")?.to_owned(), calls.ok_or("no calls")?))
        })
        .collect()
}

/// Takes off what the loops alone would have sent in `elapsed`.
fn less_idle(counts: Counts, idle: &Counts, elapsed: Duration) -> Counts {
    let share = elapsed.as_secs_f64() / IDLE.as_secs_f64();
    counts
        .into_iter()
        .map(|(query, calls)| {
            let loops = idle.get(&query).copied().unwrap_or_default() * share;
            (query, (calls - loops).max(0.0))
        })
        .collect()
}

/// What of `counts` is chosen, for one operation.
fn each(counts: &Counts, chosen: impl Fn(&str) -> bool) -> f64 {
    let sum: f64 = counts
        .iter()
        .filter(|(query, _)| chosen(query))
        .map(|(_, calls)| calls)
        .sum();
    sum / f64::from(OPERATIONS)
}

/// Whether a statement can write: it is one of SQL's, or calls a function that is.
fn writes(query: &str) -> bool {
    [
        "INSERT ",
        "UPDATE ",
        "DELETE ",
        "apply_change",
        "create_call",
        "change_call_settings",
    ]
    .iter()
    .any(|word| query.contains(word))
}
