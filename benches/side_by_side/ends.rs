//! Ends: calls are made at the provider and in the database alike, then each is ended once through
//! the API.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    Result,
    children::Server,
    client::{self, Connection},
    database::{quoted, text},
    load::{self, Load, Outcome, Requests},
    stand::Stand,
};

/// How long the events of ended calls may take to be delivered.
const DELIVERED_WITHIN: Duration = Duration::from_secs(30);

/// Calls are inserted so many at a time.
const BATCH: usize = 5000;

/// A live call, ours and the provider's id.
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) sid: String,
}

/// What came of many ends.
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    /// Requests to hang up for each end that was asked for.
    pub(crate) hang_ups_per_end: f64,
    /// The most that the provider had under way at one time.
    pub(crate) most_in_flight: u64,
    /// From the last answer until every event was delivered.
    pub(crate) delivered_after: Duration,
}

/// A load of ends.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) clients: usize,
    /// What each hang-up takes at the provider.
    pub(crate) delay_millis: u64,
    pub(crate) duration: Duration,
    /// Calls made for it.
    pub(crate) pool: usize,
}

/// Ends calls through a server. Returns once their events are delivered, by that server if it
/// delivers, and when the load is over by another that does.
pub(crate) async fn end_many(stand: &Stand, server: &Server, ends: Ends) -> Result<Ended> {
    stand.provider.reset(ends.delay_millis).await?;
    let calls = make(stand, ends.pool).await?;
    stand.main.run("CHECKPOINT").await?;
    let requests = calls.iter().map(|call| request(stand, call)).collect();
    let requests = Arc::new(Requests::each(requests));
    let load = Load {
        address: server.address,
        pid: server.running.pid,
        clients: ends.clients,
        duration: ends.duration,
    };
    let outcome = load::run(&load, &requests).await?;
    let stats = stand.provider.stats().await?;
    let over = Instant::now();
    if server.address == stand.server.address {
        deliver(stand).await?;
    } else {
        delivered(stand).await?;
    }
    let delivered_after = over.elapsed();
    let unused = calls.get(requests.sent()..).unwrap_or_default();
    forget(stand, unused).await?;
    let sent = u32::try_from(requests.sent())?;
    let hang_ups = u32::try_from(stats.hang_ups)?;
    Ok(Ended {
        outcome,
        hang_ups_per_end: f64::from(hang_ups) / f64::from(sent.max(1)),
        most_in_flight: stats.most_in_flight,
        delivered_after,
    })
}

/// One call ended by many clients at once.
pub(crate) struct Once {
    pub(crate) hang_ups: u64,
    pub(crate) ledger_rows: u32,
    pub(crate) ended_deliveries: u32,
    /// Answers other than success.
    pub(crate) failed: usize,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
}

/// Lets so many clients end the same call at the same moment.
pub(crate) async fn end_one(stand: &Stand, clients: usize, delay_millis: u64) -> Result<Once> {
    stand.provider.reset(delay_millis).await?;
    let call = make(stand, 1).await?.pop().ok_or("no call was made")?;
    let request: Arc<[u8]> = request(stand, &call).into();
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(stand.server.address).await?);
    }
    let started = Instant::now();
    let mut asking = JoinSet::new();
    for mut connection in connections {
        let request = Arc::clone(&request);
        asking.spawn(async move { Result::Ok(connection.exchange(&request).await?.status) });
    }
    let mut failed = 0;
    while let Some(status) = asking.join_next().await {
        failed += usize::from(status?? != 200);
    }
    let took = started.elapsed();
    deliver(stand).await?;
    let id = quoted(&call.id);
    let ledger = format!("SELECT count(*) AS n FROM ledger_entries WHERE call_id = {id}");
    let deliveries = format!(
        "SELECT count(*) AS n FROM webhook_deliveries d
        JOIN call_facts f USING (organization_id, call_id, sequence)
        WHERE d.call_id = {id} AND f.type = 'event_phone_call_ended'"
    );
    Ok(Once {
        hang_ups: stand.provider.hang_ups_of(&call.sid).await?,
        ledger_rows: stand.main.number(ledger).await?,
        ended_deliveries: stand.main.number(deliveries).await?,
        failed,
        took,
    })
}

/// Makes calls in progress that the provider knows too; about `count` of them.
pub(crate) async fn make(stand: &Stand, count: usize) -> Result<Vec<Call>> {
    let organization = quoted(&stand.ending.organization_id);
    let mut sids = stand.provider.place(count).await?;
    sids.truncate(count);
    let mut calls = Vec::with_capacity(count);
    for batch in sids.chunks(BATCH) {
        let made = stand
            .main
            .rows(format!(
                "SELECT * FROM bench.make({organization}, '{{{}}}')",
                batch.join(",")
            ))
            .await?;
        for row in &made {
            calls.push(Call {
                id: text(row, "id")?.to_owned(),
                sid: text(row, "sid")?.to_owned(),
            });
        }
    }
    stand.main.run("VACUUM ANALYZE calls").await?;
    Ok(calls)
}

/// Removes calls that nobody ended, so that they are not in the way of later samples.
pub(crate) async fn forget(stand: &Stand, calls: &[Call]) -> Result<()> {
    for batch in calls.chunks(BATCH) {
        let ids: Vec<&str> = batch.iter().map(|call| call.id.as_str()).collect();
        let organization = quoted(&stand.ending.organization_id);
        stand
            .main
            .run(format!(
                "DELETE FROM calls WHERE organization_id = {organization}
                AND id = ANY ('{{{}}}'::uuid[]) AND wish_state IS NULL",
                ids.join(",")
            ))
            .await?;
    }
    Ok(())
}

/// Lets another node deliver every event that waits, so that no sample pays for the one before.
async fn deliver(stand: &Stand) -> Result<()> {
    let node = stand.whole().await?;
    delivered(stand).await?;
    node.running.end().await
}

/// Waits until no event waits for its delivery.
pub(crate) async fn delivered(stand: &Stand) -> Result<()> {
    let pending = "SELECT count(*) AS n FROM webhook_deliveries WHERE state = 'pending'";
    let deadline = Instant::now() + DELIVERED_WITHIN;
    let mut again = tokio::time::interval(Duration::from_millis(50));
    loop {
        again.tick().await;
        let left = stand.main.number(pending).await?;
        if left == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("{left} events are not delivered").into());
        }
    }
}

/// Events that the customer's server has received.
pub(crate) async fn received(stand: &Stand) -> Result<u64> {
    let count: Value = client::once(stand.sink, "GET", "/count", &[], "").await?;
    Ok(count.as_u64().ok_or("the sink counts no number")?)
}

/// The request that ends a call.
pub(crate) fn request(stand: &Stand, call: &Call) -> Vec<u8> {
    let path = format!("/api/v1/calls/{}/end", call.id);
    let headers = [("authorization", stand.ending.authorization.as_str())];
    client::request("POST", &path, &headers, "")
}
