//! What the database holds about a call, read as the schema's owner: facts, jobs, the ledger,
//! deliveries, attempts. Nothing here goes through the code under test.

use onhook::domain::CallId;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::support::app::TestApp;

/// A fact: its number, type, the statuses before and after, and its data.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct FactRow {
    pub sequence: i64,
    pub r#type: String,
    pub from_status: String,
    pub to_status: String,
    pub data: Value,
}

/// An attempt to hang up.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct HangUpRow {
    pub outcome: String,
    pub provider_status: Option<i32>,
    pub provider_code: Option<String>,
}

/// An open job.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct JobRow {
    /// None: nobody works on it.
    pub lease: Option<Uuid>,
}

/// An attempt to deliver an event.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct DeliveryAttemptRow {
    pub attempt: i32,
    pub response_status: Option<i32>,
    pub failure: Option<String>,
}

fn uuid(id: &str) -> Uuid {
    id.parse::<CallId>().expect("a call's id").0
}

async fn owner(app: &TestApp) -> PgConnection {
    app.database.as_owner().await
}

/// The call's facts, in order.
pub async fn facts(app: &TestApp, id: &str) -> Vec<FactRow> {
    let sql = "SELECT sequence, type, from_status, to_status, data FROM call_facts
        WHERE call_id = $1 ORDER BY sequence";
    sqlx::query_as(sql)
        .bind(uuid(id))
        .fetch_all(&mut owner(app).await)
        .await
        .expect("facts")
}

/// The types of the call's facts, in order, without their common prefix.
pub async fn story(app: &TestApp, id: &str) -> Vec<String> {
    let short = |fact: FactRow| fact.r#type.replace("event_phone_call_", "");
    facts(app, id).await.into_iter().map(short).collect()
}

/// The call's usage entries, as billable milliseconds and micros.
pub async fn usage(app: &TestApp, id: &str) -> Vec<(i64, i64)> {
    let sql = "SELECT billable_millis, amount_micros FROM ledger_entries
        WHERE call_id = $1 AND kind = 'usage'";
    sqlx::query_as(sql)
        .bind(uuid(id))
        .fetch_all(&mut owner(app).await)
        .await
        .expect("ledger entries")
}

/// The call's open jobs.
pub async fn jobs(app: &TestApp, id: &str) -> Vec<JobRow> {
    sqlx::query_as("SELECT lease FROM jobs WHERE call_id = $1")
        .bind(uuid(id))
        .fetch_all(&mut owner(app).await)
        .await
        .expect("jobs")
}

/// The call's attempts to hang up, in order.
pub async fn hang_ups(app: &TestApp, id: &str) -> Vec<HangUpRow> {
    let sql = "SELECT outcome, provider_status, provider_code FROM hangup_attempts
        WHERE call_id = $1 ORDER BY started_at, finished_at";
    sqlx::query_as(sql)
        .bind(uuid(id))
        .fetch_all(&mut owner(app).await)
        .await
        .expect("hang-up attempts")
}

/// How often callbacks about the call were stored, by their state.
pub async fn receipts(app: &TestApp, id: &str, state: &str) -> i64 {
    let sql = "SELECT count(*) FROM callback_receipts WHERE call_id = $1 AND state = $2";
    sqlx::query_scalar(sql)
        .bind(uuid(id))
        .bind(state)
        .fetch_one(&mut owner(app).await)
        .await
        .expect("receipts")
}

/// The states of the deliveries of the call's events of one type, one for each endpoint.
pub async fn deliveries(app: &TestApp, id: &str, kind: &str) -> Vec<String> {
    let sql = "SELECT d.state FROM webhook_deliveries d JOIN call_facts f
        USING (organization_id, call_id, sequence)
        WHERE d.call_id = $1 AND f.type = $2 ORDER BY d.endpoint_id";
    sqlx::query_scalar(sql)
        .bind(uuid(id))
        .bind(kind)
        .fetch_all(&mut owner(app).await)
        .await
        .expect("deliveries")
}

/// The attempts to deliver the call's event number `sequence`, to all endpoints.
pub async fn delivery_attempts(app: &TestApp, id: &str, sequence: i64) -> Vec<DeliveryAttemptRow> {
    let sql = "SELECT attempt, response_status, failure FROM webhook_attempts
        WHERE call_id = $1 AND sequence = $2 ORDER BY attempt";
    sqlx::query_as(sql)
        .bind(uuid(id))
        .bind(sequence)
        .fetch_all(&mut owner(app).await)
        .await
        .expect("delivery attempts")
}

/// What must hold of every call that is over: facts numbered without a gap and joined to each
/// other, one end that agrees with the call, one usage entry, nothing left to do.
pub async fn assert_ended_once(app: &TestApp, id: &str) {
    let facts = facts(app, id).await;
    let mut status = "initiating".to_owned();
    for (expected, fact) in (1..).zip(&facts) {
        assert_eq!(fact.sequence, expected, "{facts:#?}");
        assert_eq!(fact.from_status, status, "{facts:#?}");
        status.clone_from(&fact.to_status);
    }
    let ended: Vec<&FactRow> = facts
        .iter()
        .filter(|fact| fact.r#type == "event_phone_call_ended")
        .collect();
    assert_eq!(ended.len(), 1, "{facts:#?}");
    let call = app.call(id).await;
    for member in ["status", "ended_reason", "ended_at", "cost", "answered_at"] {
        assert_eq!(ended[0].data["call"][member], call[member], "{member}");
    }
    assert_eq!(call["status"], status);
    assert_eq!(call["last_sequence"], facts.len());
    assert_eq!(usage(app, id).await.len(), 1);
    assert!(jobs(app, id).await.is_empty());
}

/// The words of the provider's script for calls that are placed from now on.
pub async fn script(app: &TestApp, change: &Value) {
    let reply = app.sim.post("/_sim/script", change).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

/// Lets the called party or the network act on the call; the answer's status.
pub async fn party(app: &TestApp, id: &str, act: &str) -> u16 {
    let call = app.call(id).await;
    let sid = call["call_sid"].as_str().expect("a sid");
    let path = format!("/_sim/calls/{sid}/{act}");
    app.sim.post_nothing(&path).await.status
}

/// The provider's counters.
pub async fn stats(app: &TestApp) -> Value {
    app.sim.get("/_sim/stats").await.json()
}

/// Every call that the provider knows.
pub async fn provider_calls(app: &TestApp) -> Vec<Value> {
    let all = app.sim.get("/_sim/calls").await.json();
    all["calls"].as_array().expect("calls").clone()
}

/// How many of the application's statements wait for a lock, by a word of theirs.
pub async fn blocked(app: &TestApp, word: &str) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'onhook' AND wait_event_type = 'Lock' AND position($1 IN query) > 0";
    sqlx::query_scalar(sql)
        .bind(word)
        .fetch_one(&mut owner(app).await)
        .await
        .expect("the activity")
}

/// Holds the call's row until the connection is dropped or told to `ROLLBACK`: every change of the
/// call waits.
pub async fn hold(app: &TestApp, id: &str) -> PgConnection {
    let mut connection = owner(app).await;
    run(&mut connection, "BEGIN").await;
    sqlx::query_scalar::<_, Uuid>("SELECT id FROM calls WHERE id = $1 FOR UPDATE")
        .bind(uuid(id))
        .fetch_one(&mut connection)
        .await
        .expect("the call's row");
    connection
}

/// Runs a statement as the owner.
pub async fn run(connection: &mut PgConnection, statement: &'static str) {
    sqlx::raw_sql(statement)
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
}
