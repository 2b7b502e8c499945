//! Events that are asked for instead of told, and the log of attempts that is kept for a month.

use onhook::domain::token::{Environment, Scope};
use serde_json::{Value, json};
use sqlx::Executor as _;

use super::webhooks::{deliver, ended_call};
use crate::support::{app::TestApp, wait::wait_for};

const DAY: i64 = 24 * 3600;

#[tokio::test(flavor = "multi_thread")]
async fn events_are_pulled_in_order_without_a_gap() {
    let app = TestApp::by_hand().await;
    let empty = app.client.get("/api/v1/events").await.json();
    assert_eq!(
        empty,
        json!({"items": [], "has_more": false, "next_after": null})
    );
    let first = ended_call(&app).await;
    let second = ended_call(&app).await;
    deliver(&app).await;
    let mut pulled: Vec<Value> = Vec::new();
    let mut after = String::new();
    loop {
        let page = app
            .client
            .get(&format!("/api/v1/events?limit=4{after}"))
            .await
            .json();
        pulled.extend(page["items"].as_array().unwrap().iter().cloned());
        after = format!("&after={}", page["next_after"].as_str().unwrap());
        if page["has_more"] == false {
            break;
        }
    }
    let mut sent: Vec<Value> = app
        .receiver
        .received()
        .into_iter()
        .map(|event| event.body)
        .collect();
    let by_id = |event: &Value| event["id"].as_str().unwrap().to_owned();
    sent.sort_by_key(by_id);
    let mut sorted = pulled.clone();
    sorted.sort_by_key(by_id);
    assert_eq!(sorted, sent, "the same as webhooks carry");
    for call in [&first, &second] {
        let of_call = pulled
            .iter()
            .filter(|event| event["call_id"] == call.as_str());
        let numbers: Vec<i64> = of_call
            .map(|event| event["sequence"].as_i64().unwrap())
            .collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    }
    // Nothing new: the same position again.
    let path = format!("/api/v1/events?limit=4{after}");
    let page = app.client.get(&path).await.json();
    assert_eq!(page["items"], json!([]));
    assert_eq!(
        after,
        format!("&after={}", page["next_after"].as_str().unwrap())
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_pulled_by_whom_they_concern_while_they_are_kept() {
    let app = TestApp::by_hand().await;
    ended_call(&app).await;
    // What a transaction of any database may still come before is told later.
    let all = || async { app.client.get("/api/v1/events").await.json() };
    let six = |all: &Value| all["items"].as_array().is_some_and(|all| all.len() == 6);
    let all = wait_for("the events", all, six).await;
    let colleague = Some(vec![app.stranger.agent_id]);
    let restricted = app
        .token(Environment::Live, &[Scope::CallsRead], colleague)
        .await;
    for token in [&restricted, &app.stranger.token] {
        let other = app.client.with_token(Some(token));
        let seen = other.get("/api/v1/events").await.json();
        assert_eq!(seen["items"], json!([]));
    }
    let ends = "/api/v1/events?type=event_phone_call_ended";
    let ends = app.client.get(ends).await.json();
    assert_eq!(ends["items"].as_array().unwrap().len(), 1);

    app.advance(31 * DAY);
    let after = all["next_after"].as_str().unwrap();
    let old = app
        .client
        .get(&format!("/api/v1/events?after={after}"))
        .await;
    assert_eq!(
        (old.status, &old.json()["code"]),
        (400, &json!("CURSOR_INVALID"))
    );
    let none = app.client.get("/api/v1/events").await.json();
    assert_eq!(none["items"], json!([]));
    app.stop().await;
}

/// A transaction that is still running may yet write before what others have committed.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_open_transaction_may_still_write_is_not_overtaken() {
    let app = TestApp::by_hand().await;
    let mut writer = app.database.as_owner().await;
    let early = "BEGIN; INSERT INTO organization_events (organization_id, id, type, at, data)
        SELECT organization_id, gen_random_uuid(), 'webhook.test', '2026-11-21T09:30:00Z', '{}'
        FROM agents";
    writer.execute(early).await.unwrap();
    ended_call(&app).await;
    let items = || async { app.client.get("/api/v1/events").await.json()["items"].clone() };
    assert_eq!(
        items().await,
        json!([]),
        "the open one may come before them"
    );

    writer.execute("COMMIT").await.unwrap();

    let all = |items: &Value| items.as_array().unwrap().len() == 7;
    let items = wait_for("the events", items, all).await;
    assert_eq!(items[0]["type"], "webhook.test");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_attempts_are_dropped_with_their_day() {
    let app = TestApp::by_hand().await;
    app.node.worker.keep_attempts().await.unwrap();
    let partitions = || async {
        let sql = "SELECT inhrelid::regclass::text FROM pg_inherits
            WHERE inhparent = 'webhook_attempts'::regclass ORDER BY 1";
        let names: Vec<String> = sqlx::query_scalar(sql)
            .fetch_all(&mut app.database.as_owner().await)
            .await
            .unwrap();
        names
    };
    let made = partitions().await;
    assert_eq!(made.len(), 9, "today, a week ahead, and the rest: {made:?}");
    assert_eq!(made[0], "webhook_attempts_20261121");
    ended_call(&app).await;
    deliver(&app).await;
    let count = || async {
        let sql = "SELECT count(*) FROM webhook_attempts_20261121";
        let count: i64 = sqlx::query_scalar(sql)
            .fetch_one(&mut app.database.as_owner().await)
            .await
            .unwrap();
        count
    };
    assert_eq!(count().await, 6);
    app.advance(30 * DAY);
    app.node.worker.keep_attempts().await.unwrap();
    assert_eq!(count().await, 6, "kept for 30 days");
    app.advance(DAY);
    app.node.worker.keep_attempts().await.unwrap();
    let kept = partitions().await;
    assert!(!kept.contains(&made[0]), "{kept:?}");
    app.node.worker.keep_attempts().await.unwrap();
    assert_eq!(partitions().await, kept, "a second time changes nothing");
    app.stop().await;
}
