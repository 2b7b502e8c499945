//! The receiver of events is away for three days, and the program that delivers to it is killed again
//! and again, while it waits for an answer and after a failure. The program takes its time from the
//! system, so the hours that pass are taken from the times that are stored.

use std::collections::{BTreeMap, BTreeSet};

use onhook::simulator::Delivery;
use serde_json::json;

use super::{points::place_answered, process::NodeProcess};
use crate::{
    flows::{books, webhooks::behave},
    support::{app::TestApp, wait::wait_for},
};

async fn count(app: &TestApp, of: &'static str) -> i64 {
    sqlx::query_scalar(of)
        .fetch_one(&mut app.database.as_owner().await)
        .await
        .unwrap()
}

async fn pending(app: &TestApp) -> i64 {
    let of = "SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'";
    count(app, of).await
}

async fn dead(app: &TestApp) -> i64 {
    let of = "SELECT count(*) FROM webhook_deliveries WHERE state = 'dead'";
    count(app, of).await
}

async fn eleven_hours_pass(app: &TestApp) {
    let statement = "UPDATE webhook_deliveries SET created_at = created_at - interval '11 hours',
            due_at = due_at - interval '11 hours', closed_at = closed_at - interval '11 hours';
        UPDATE webhook_endpoints SET created_at = created_at - interval '11 hours',
            failing_since = failing_since - interval '11 hours'";
    books::run(&mut app.database.as_owner().await, statement).await;
}

/// The receiver takes requests and answers none.
async fn hangs(app: &TestApp) {
    let hang = json!({"status": 503, "times": 0, "delay_ms": 3_600_000});
    behave(app, &hang).await;
}

async fn ended_call(app: &TestApp, node: &NodeProcess) -> String {
    let id = place_answered(app, node).await;
    let path = format!("/api/v1/calls/{id}/terminate");
    let reply = node.client.post_nothing(&path).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    app.wait_for_status(&id, "completed").await;
    id
}

/// Kills the node while it waits for the receiver: its leases are held by nobody.
async fn kill_while_it_delivers(app: &TestApp, node: &mut NodeProcess, before: usize) {
    let arrived = || async { app.receiver.received().len() };
    wait_for("a request", arrived, |arrived| *arrived > before).await;
    node.kill().await;
    let leased = "SELECT count(*) FROM webhook_deliveries WHERE lease IS NOT NULL";
    assert!(count(app, leased).await > 0, "it died with leases");
}

/// Kills the node once it has recorded a failure.
async fn kill_after_a_failure(app: &TestApp, node: &mut NodeProcess) {
    let failures = || count(app, "SELECT count(*) FROM webhook_attempts");
    let before = failures().await;
    behave(app, &json!({"status": 503, "times": 0})).await;
    node.restart().await;
    wait_for("a failure", failures, |failures| *failures > before).await;
    node.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_was_away_for_three_days_gets_everything_from_a_node_that_was_killed() {
    let app = TestApp::looking_on().await;
    hangs(&app).await;
    let mut node = NodeProcess::start(&app).await;
    let mut calls = Vec::new();
    for _ in 0..3 {
        let before = app.receiver.received().len();
        calls.push(ended_call(&app, &node).await);
        kill_while_it_delivers(&app, &mut node, before).await;
        eleven_hours_pass(&app).await;
        kill_after_a_failure(&app, &mut node).await;
        eleven_hours_pass(&app).await;
        assert_eq!(dead(&app).await, 0, "66 hours are less than three days");
        hangs(&app).await;
        node.restart().await;
    }
    node.kill().await;
    // Whatever the schedule said, it is due; what is tried when it is older than three days is tried
    // once more.
    eleven_hours_pass(&app).await;
    eleven_hours_pass(&app).await;
    behave(&app, &json!({"status": 204, "times": 0})).await;
    let tried = ids(&app.receiver.received());
    node.restart().await;
    wait_for("nothing to wait", || pending(&app), |pending| *pending == 0).await;

    let mut arrived = app.receiver.received();
    arrived.retain(|event| event.answered == 204);
    assert!(arrived.iter().all(|event| event.signature_valid));
    assert!(
        tried.is_subset(&ids(&arrived)),
        "what was tried comes by the same id"
    );
    assert_each_call_is_whole(&app, &calls, &arrived).await;
    assert_eq!(dead(&app).await, 0);
    node.kill().await;
    app.stop().await;
}

fn ids(events: &[Delivery]) -> BTreeSet<String> {
    events.iter().filter_map(|event| event.id.clone()).collect()
}

/// Of each call every number came, under the id that belongs to it.
async fn assert_each_call_is_whole(app: &TestApp, calls: &[String], arrived: &[Delivery]) {
    let mut by_call: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for event in arrived {
        let call = event.body["call_id"].as_str().unwrap();
        let sequence = event.body["sequence"].as_i64().unwrap();
        let id = format!("evt_{}_{sequence}", call.replace('-', ""));
        assert_eq!(event.id.as_ref(), Some(&id));
        by_call.entry(call).or_default().insert(sequence);
    }
    assert_eq!(by_call.len(), calls.len());
    for call in calls {
        let all: BTreeSet<i64> = (1..).take(books::facts(app, call).await.len()).collect();
        assert_eq!(by_call[call.as_str()], all, "without a gap");
    }
}
