//! Places at accounts, the patience that providers ask for, and who comes first in the queue.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    flows::books,
    support::{
        app::{HELD, Tenant, TestApp, found},
        client::TestClient,
        wait::{wait_at_most, wait_for},
    },
};
use onhook::simulator::Simulator;

/// Hang-ups of one account that a node has under way at most.
const MOST_HANG_UPS: usize = 128;

/// A customer with a provider of his own.
struct Elsewhere {
    tenant: Tenant,
    client: TestClient,
    sim: TestClient,
    _simulator: Simulator,
}

async fn elsewhere(app: &TestApp) -> Elsewhere {
    let any = "127.0.0.1:0".parse().unwrap();
    let simulator = Simulator::start(any, app.ambient.clone(), Vec::new())
        .await
        .unwrap();
    let sim = TestClient::new(&simulator.base_url(), None);
    let tenant = found(&app.app, &simulator, &app.receiver, &sim, "Elsewhere").await;
    let client = TestClient::new(&format!("http://{}", app.node.address), Some(&tenant.token));
    Elsewhere {
        tenant,
        client,
        sim,
        _simulator: simulator,
    }
}

impl Elsewhere {
    async fn place(&self, calls: usize) -> Vec<String> {
        let body = json!({"agent_id": self.tenant.agent_id, "to": "+15550101"});
        let mut ids = Vec::new();
        for _ in 0..calls {
            let reply = self.client.post("/api/v1/calls", &body).await;
            ids.push(reply.json()["id"].as_str().unwrap().to_owned());
        }
        let all = |count: &i64| usize::try_from(*count) == Ok(calls);
        wait_for("the calls", || self.count("in-progress"), all).await;
        ids
    }

    async fn count(&self, status: &str) -> i64 {
        let path = format!("/api/v1/calls/count?status={status}");
        self.client.get(&path).await.json()["count"]
            .as_i64()
            .unwrap_or_default()
    }

    async fn stats(&self) -> Value {
        self.sim.get("/_sim/stats").await.json()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_provider_hangs_takes_its_own_places_and_loses_no_job() {
    const CALLS: usize = MOST_HANG_UPS + 40;
    let app = TestApp::running().await;
    let elsewhere = elsewhere(&app).await;
    let ids = elsewhere.place(CALLS).await;
    let hang = json!({
        "provider": "twilio", "operation": "hangup", "times": 0, "delay_ms": HELD,
    });
    assert!(elsewhere.sim.post("/_sim/faults", &hang).await.status < 300);
    for id in &ids {
        let path = format!("/api/v1/calls/{id}/end");
        let at_once = [("prefer", "wait=0")];
        let reply = elsewhere
            .client
            .send(Method::POST, &path, &at_once, "")
            .await;
        assert_eq!(reply.status, 202, "{}", reply.text);
    }
    // What timed out is asked again, and those that nobody waits for any more count as well.
    let busy = |stats: &Value| in_flight(stats) >= MOST_HANG_UPS;
    wait_for("its places to be taken", || elsewhere.stats(), busy).await;

    let id = app.place_answered().await;
    let path = format!("/api/v1/calls/{id}/terminate");
    assert_eq!(app.client.post_nothing(&path).await.status, 200);

    assert_eq!(elsewhere.count("completed").await, 0);
    elsewhere.sim.post_nothing("/_sim/faults/release").await;
    let all = |count: &i64| usize::try_from(*count) == Ok(CALLS);
    let patience = std::time::Duration::from_secs(90);
    wait_at_most(patience, "every end", || elsewhere.count("completed"), all).await;
    app.stop().await;
}

fn in_flight(stats: &Value) -> usize {
    let most = stats["max_in_flight_hangups"].as_u64();
    most.and_then(|most| usize::try_from(most).ok())
        .unwrap_or_default()
}

async fn creates(app: &TestApp) -> Value {
    books::stats(app).await["creates"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_asks_for_patience_is_sent_no_further_dial_until_then() {
    let app = TestApp::by_hand().await;
    let busy = json!({"respond": {"status": 429, "headers": {"Retry-After": "30"}}});
    app.fault("create", 1, &busy).await;
    let first = app.place().await;
    let put_off = |jobs: &Vec<books::JobRow>| jobs.iter().all(|job| job.lease.is_none());
    wait_for(
        "the first dial's record",
        || books::jobs(&app, &first),
        put_off,
    )
    .await;
    let second = app.place().await;
    wait_for("the second's", || books::jobs(&app, &second), put_off).await;
    assert_eq!(creates(&app).await, 1, "the second is not sent");

    app.advance(29);
    assert_eq!(app.node.worker.run_due().await.unwrap(), 0);
    app.advance(1);
    assert_eq!(app.node.worker.run_due().await.unwrap(), 2);

    for id in [&first, &second] {
        app.wait_for_status(id, "in-progress").await;
    }
    assert_eq!(creates(&app).await, 3);
    assert_eq!(books::provider_calls(&app).await.len(), 2);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_is_put_off_for_ten_seconds_at_most() {
    let app = TestApp::by_hand().await;
    let (first, second) = (app.place_answered().await, app.place_answered().await);
    let busy = json!({"respond": {"status": 503, "headers": {"Retry-After": "3600"}}});
    app.fault("hangup", 1, &busy).await;
    for id in [&first, &second] {
        let path = format!("/api/v1/calls/{id}/end");
        let at_once = [("prefer", "wait=1")];
        let reply = app.client.send(Method::POST, &path, &at_once, "").await;
        assert_eq!(reply.status, 202, "{}", reply.text);
    }
    assert_eq!(books::hang_ups(&app, &first).await.len(), 1);
    assert_eq!(books::hang_ups(&app, &second).await.len(), 0);
    let put_off = |jobs: &Vec<books::JobRow>| jobs.iter().all(|job| job.lease.is_none());
    wait_for(
        "the second's record",
        || books::jobs(&app, &second),
        put_off,
    )
    .await;

    app.advance(9);
    assert_eq!(app.node.worker.run_due().await.unwrap(), 0);
    app.advance(1);
    assert_eq!(app.node.worker.run_due().await.unwrap(), 2);

    for id in [&first, &second] {
        assert_eq!(app.call(id).await["status"], "completed");
        books::assert_ended_once(&app, id).await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hang_ups_that_are_due_pass_a_full_queue_of_dials() {
    const HANG_UPS: usize = 20;
    const DIALS: usize = 200;
    let app = TestApp::by_hand().await;
    let mut ending = Vec::new();
    for _ in 0..HANG_UPS {
        ending.push(app.place_answered().await);
    }
    let delayed = json!({
        "agent_id": app.tenant.agent_id, "to": "+15550101", "delay_seconds": 1,
    });
    for _ in 0..DIALS {
        assert_eq!(app.client.post("/api/v1/calls", &delayed).await.status, 201);
    }
    let failing = u32::try_from(HANG_UPS).unwrap();
    app.fault("hangup", failing, &json!({"respond": {"status": 500}}))
        .await;
    for id in &ending {
        let path = format!("/api/v1/calls/{id}/terminate");
        assert_eq!(app.client.post_nothing(&path).await.status, 500);
    }
    app.fault("create", 0, &json!({"delay_ms": HELD})).await;

    // The dials have been due for longer.
    app.advance(3);
    let worker = app.node.worker.clone();
    let (_, ()) = tokio::join!(worker.run_due(), async {
        for id in &ending {
            app.wait_for_status(id, "completed").await;
        }
        let placed = books::provider_calls(&app).await.len();
        assert_eq!(placed, HANG_UPS, "the dials are still under way");
        app.release().await;
    });
    app.stop().await;
}
