//! A receiver that is away for three days while the nodes that deliver to it die.

use std::collections::{BTreeMap, BTreeSet};

use onhook::{boot::Node, jobs::Loops, simulator::Delivery};
use serde_json::json;

use super::{
    books,
    webhooks::{behave, ended_call},
};
use crate::support::{
    app::{self, TestApp, variables},
    wait::wait_for,
};

const HOUR: i64 = 3600;

/// A node that remembers nothing of those before it.
async fn fresh_node(app: &TestApp) -> Node {
    app::node(
        variables(&app.database.url),
        app.ambient.clone(),
        Loops::None,
    )
    .await
}

async fn deliver_by(node: &Node) {
    while node.worker.deliver_due().await.unwrap() > 0 {}
}

/// The node is killed while its first request waits for an answer: what it had under way is dropped
/// without another word, and nothing of it is recorded.
async fn die_while_delivering(app: &TestApp, node: Node) {
    behave(
        app,
        &json!({"status": 503, "times": 0, "delay_ms": 3_600_000}),
    )
    .await;
    let before = app.receiver.received().len();
    let round = node.worker.deliver_due();
    let arrived = wait_for(
        "a request",
        || async { app.receiver.received().len() },
        |arrived| *arrived > before,
    );
    tokio::select! {
        biased;
        _ = arrived => {}
        done = round => panic!("nothing was under way: {done:?}"),
    }
    // Never stopped in order: its leases and its memory are simply gone.
    drop(node);
    away(app).await;
    let leased = "SELECT count(*) FROM webhook_deliveries WHERE lease IS NOT NULL";
    assert!(count(app, leased).await > 0, "it died with leases");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_days_without_a_receiver_and_nodes_that_die_lose_nothing_and_change_no_id() {
    let app = TestApp::by_hand().await;
    let mut calls = vec![ended_call(&app).await];
    away(&app).await;
    let mut node = fresh_node(&app).await;
    for hour in 0..72 {
        if hour % 24 == 12 {
            calls.push(ended_call(&app).await);
            die_while_delivering(&app, node).await;
            node = fresh_node(&app).await;
            // The leases that died with it.
            app.advance(60);
        }
        deliver_by(&node).await;
        app.advance(HOUR);
    }
    let dead = count(&app, DEAD).await;
    assert_eq!(dead, 0, "nothing is given up before it is three days old");
    let failed = app.receiver.received().len();
    let tried: BTreeSet<_> = app
        .receiver
        .received()
        .into_iter()
        .map(|event| event.id)
        .collect();

    behave(&app, &json!({"status": 204, "times": 0})).await;
    for _ in 0..16 {
        deliver_by(&node).await;
        app.advance(HOUR);
    }

    let arrived: Vec<Delivery> = app.receiver.received().split_off(failed);
    assert!(arrived.iter().all(|event| event.signature_valid));
    let mut by_call: BTreeMap<String, BTreeMap<i64, String>> = BTreeMap::new();
    for event in &arrived {
        let call = event.body["call_id"].as_str().unwrap().to_owned();
        let sequence = event.body["sequence"].as_i64().unwrap();
        let id = event.id.clone().unwrap();
        assert_eq!(id, format!("evt_{}_{sequence}", call.replace('-', "")));
        by_call.entry(call).or_default().insert(sequence, id);
    }
    let ids: BTreeSet<_> = arrived.iter().map(|event| event.id.clone()).collect();
    assert!(tried.is_subset(&ids), "what was tried comes by the same id");
    assert_eq!(by_call.len(), calls.len());
    for call in &calls {
        let facts = books::facts(&app, call).await;
        let numbers: Vec<i64> = by_call[call].keys().copied().collect();
        let all: Vec<i64> = (1..).take(facts.len()).collect();
        assert_eq!(numbers, all, "the order is the sequence's, without a gap");
        for fact in &facts {
            let states = books::deliveries(&app, call, &fact.r#type).await;
            assert_eq!(states, ["delivered"], "{}", fact.r#type);
        }
    }
    assert_eq!(count(&app, DEAD).await, 0);
    app.stop().await;
}

/// The receiver takes nothing.
async fn away(app: &TestApp) {
    behave(app, &json!({"status": 503, "times": 0})).await;
}

const DEAD: &str = "SELECT count(*) FROM webhook_deliveries WHERE state = 'dead'";

async fn count(app: &TestApp, of: &'static str) -> i64 {
    sqlx::query_scalar(of)
        .fetch_one(&mut app.database.as_owner().await)
        .await
        .unwrap()
}
