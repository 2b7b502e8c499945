//! One call, placed and ended by the server, recorded: its rows seed the databases, and what its end
//! writes is what pgbench writes again. So neither can drift from the product.

use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use crate::{
    Result,
    children::Server,
    client,
    database::{Database, quoted, text},
    provider::Provider,
    stand::Tenant,
};

/// How long a call may take to be answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was recorded.
pub(crate) struct Recording {
    /// The call's id and the provider's.
    pub(crate) call_id: String,
    pub(crate) sid: String,
    /// The two steps of its end: the `version` that `apply_change` was to change, the `call` as it
    /// became, the `effects`.
    pub(crate) steps: [Value; 2],
    /// The statements of the server, with `$1` …; `None` without `pg_stat_statements`.
    pub(crate) statements: Option<Statements>,
}

/// Statements as the server sends them.
pub(crate) struct Statements {
    pub(crate) list: String,
    pub(crate) find: String,
}

/// Places a call, lets it be answered, lists it, ends it.
pub(crate) async fn record(
    server: &Server,
    main: &Database,
    provider: &Provider,
    tenant: &Tenant,
    has_statistics: bool,
) -> Result<Recording> {
    provider.reset(0).await?;
    let headers = [
        ("authorization", tenant.authorization.as_str()),
        ("content-type", "application/json"),
    ];
    let metadata = json!({"campaign": "autumn", "customer": "c-1027", "language": "en"});
    let body = json!({"agent_id": tenant.agent_id, "to": "+15550101", "metadata": metadata});
    let call = client::once(
        server.address,
        "POST",
        "/api/v1/calls",
        &headers,
        &body.to_string(),
    )
    .await?;
    let id = text(&call, "id")?;
    let path = format!("/api/v1/calls/{id}");
    let quoted_id = quoted(id);
    let call = answered(server, main, &path, &headers).await?;
    let select = format!("SELECT to_jsonb(c) AS call FROM calls c WHERE id = {quoted_id}");
    let live = main.row(select.clone()).await?;
    let list = "/api/v1/calls?status=ongoing&limit=50";
    client::once(server.address, "GET", list, &headers, "").await?;
    // The end is to be known from the answer, as in the measured ends, not from a faster callback.
    provider.drop_callbacks().await?;
    let ended = client::once(server.address, "POST", &format!("{path}/end"), &headers, "").await?;
    if text(&ended, "outcome")? != "ended" {
        return Err(format!("the recorded call did not end: {ended}").into());
    }
    let ended = main.row(select).await?;
    let (live, ended) = (member(&live, "call")?, member(&ended, "call")?);
    main.run(format!(
        "INSERT INTO bench.template VALUES ({}, {})",
        quoted(&live.to_string()),
        quoted(&ended.to_string())
    ))
    .await?;
    let steps = main
        .rows(format!(
            "SELECT version, call, effects FROM bench.applied
            WHERE call_id = {quoted_id} AND version >= {} ORDER BY number",
            member(live, "version")?
        ))
        .await?;
    let steps = <[Value; 2]>::try_from(steps)
        .map_err(|steps| format!("an end took {} changes of its call, not two", steps.len()))?;
    Ok(Recording {
        call_id: id.to_owned(),
        sid: text(&call, "call_sid")?.to_owned(),
        steps,
        statements: if has_statistics {
            Some(Statements {
                list: statement(main, "call_list::list").await?,
                find: statement(main, "calls::find").await?,
            })
        } else {
            None
        },
    })
}

/// Takes the recorder out again; no server may be running.
pub(crate) async fn end_recording(main: &Database) -> Result<()> {
    main.run(
        "DROP FUNCTION apply_change;
        ALTER FUNCTION apply_change_itself RENAME TO apply_change",
    )
    .await
}

/// Waits until the call is answered and the job that dialled it is done.
async fn answered(
    server: &Server,
    main: &Database,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    let mut again = tokio::time::interval(Duration::from_millis(20));
    loop {
        again.tick().await;
        let call = client::once(server.address, "GET", path, headers, "").await?;
        let jobs = main.number("SELECT count(*) AS n FROM jobs").await?;
        if text(&call, "status")? == "in-progress" && jobs == 0 {
            return Ok(call);
        }
        if Instant::now() > deadline {
            return Err(format!("the recorded call was not answered: {call}").into());
        }
    }
}

async fn statement(main: &Database, function: &str) -> Result<String> {
    let row = main
        .row(format!(
            "SELECT query FROM pg_stat_statements WHERE query LIKE '/* db::{function} */%'"
        ))
        .await?;
    Ok(text(&row, "query")?.to_owned())
}

fn member<'a>(row: &'a Value, name: &str) -> Result<&'a Value> {
    row.get(name)
        .ok_or_else(|| format!("no {name} in {row}").into())
}
