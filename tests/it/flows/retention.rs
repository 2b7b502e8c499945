//! What is removed when it is old, and what never is.

use std::collections::BTreeSet;

use onhook::db::invariants;
use serde_json::{Value, json};

use super::webhooks::{deliver, ended_call, endpoint};
use crate::support::app::TestApp;

const DAY: i64 = 24 * 3600;
const PATH: &str = "/api/v1/webhook-endpoints";

async fn count(app: &TestApp, of: &'static str) -> i64 {
    sqlx::query_scalar(of)
        .fetch_one(&mut app.database.as_owner().await)
        .await
        .unwrap()
}

/// Removes all that is old; how much there was.
async fn remove(app: &TestApp) -> i64 {
    let mut removed = 0;
    loop {
        match app.node.worker.remove_old().await.unwrap() {
            0 => return removed,
            some => removed += some,
        }
    }
}

/// The ids of the endpoint's deliveries, the newest first.
async fn listed(app: &TestApp, id: &str) -> Vec<String> {
    let path = format!("{PATH}/{id}/deliveries?limit=100");
    let list = app.client.get(&path).await.json();
    let items = list["items"].as_array().expect("a list").iter();
    items
        .map(|item| item["id"].as_str().expect("an id").to_owned())
        .collect()
}

async fn change(app: &TestApp, id: &str, body: Value) {
    let headers = [("content-type", "application/json")];
    let path = format!("{PATH}/{id}");
    let method = reqwest::Method::PATCH;
    let reply = app
        .client
        .send(method, &path, &headers, &body.to_string())
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

async fn assert_sound(app: &TestApp) {
    for (check, offenders) in invariants::run(&app.app.db, app.ambient.now())
        .await
        .expect("an audit")
    {
        assert_eq!(offenders, [""; 0], "{}", check.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_a_month_ago_is_removed_and_what_waits_never() {
    let app = TestApp::by_hand().await;
    let own = app.tenant.endpoint_id.to_string();
    let waiting = endpoint(&app, "/waiting", json!({})).await;
    change(&app, &waiting, json!({"paused": true})).await;
    for _ in 0..2 {
        let reply = app.client.post_nothing(&format!("{PATH}/{own}/test")).await;
        assert_eq!(reply.status, 202, "{}", reply.text);
    }
    let call = ended_call(&app).await;
    deliver(&app).await;
    let all = listed(&app, &own).await;
    let kept_back = listed(&app, &waiting).await;
    assert_eq!(all.len(), kept_back.len() + 2);

    app.advance(29 * DAY);
    assert_eq!(remove(&app).await, 0);
    let tests: Vec<&String> = all.iter().filter(|id| id.ends_with("_0")).collect();
    let again: BTreeSet<&String> = [tests[0], all.iter().find(|id| id.ends_with("_1")).unwrap()]
        .into_iter()
        .collect();
    for id in &again {
        let path = format!("{PATH}/{own}/deliveries/{id}/resend");
        assert_eq!(app.client.post_nothing(&path).await.status, 202);
    }
    deliver(&app).await;
    let evidence = app.client.get(&format!("/api/v1/calls/{call}/why")).await;

    app.advance(3 * DAY);
    let gone = i64::try_from(all.len() - 2).unwrap();
    assert_eq!(remove(&app).await, gone + 1, "and the event of one test");
    let left = listed(&app, &own).await;
    assert_eq!(left.iter().collect::<BTreeSet<_>>(), again);
    assert_eq!(
        count(&app, "SELECT count(*) FROM organization_events").await,
        1
    );
    let unchanged = app.client.get(&format!("/api/v1/calls/{call}/why")).await;
    assert_eq!(unchanged.json(), evidence.json());
    let path = format!("{PATH}/{own}/deliveries/{}", tests[1]);
    assert_eq!(
        app.client.get(&path).await.json()["code"],
        "WEBHOOK_DELIVERY_NOT_FOUND"
    );

    change(&app, &waiting, json!({"paused": false})).await;
    deliver(&app).await;
    let arrived = app.receiver.received().into_iter();
    let arrived: BTreeSet<String> = arrived
        .filter(|event| event.path == "/waiting")
        .filter_map(|event| event.id)
        .collect();
    assert_eq!(arrived, kept_back.into_iter().collect::<BTreeSet<_>>());
    assert_sound(&app).await;

    app.advance(31 * DAY);
    remove(&app).await;
    let nothing = "SELECT (SELECT count(*) FROM webhook_deliveries)
        + (SELECT count(*) FROM organization_events)";
    assert_eq!(count(&app, nothing).await, 0);
    assert_sound(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_remove_at_the_same_time_remove_each_row_once_and_few_at_a_time() {
    const ROWS: i64 = 1200;
    let app = TestApp::by_hand().await;
    let other = app.node_with(&[]).await;
    let made = count(
        &app,
        "WITH made AS (
            INSERT INTO webhook_deliveries (organization_id, endpoint_id, call_id, sequence, state, created_at, closed_at)
            SELECT organization_id, id, gen_random_uuid(), 1, 'delivered', created_at, created_at
            FROM webhook_endpoints CROSS JOIN generate_series(1, 600)
            RETURNING 1
        )
        SELECT count(*) FROM made",
    )
    .await;
    assert_eq!(made, ROWS, "of two organisations");
    app.advance(31 * DAY);

    let (mut removed, mut rounds) = (0, 0);
    while removed < ROWS {
        let (here, there) = tokio::join!(app.node.worker.remove_old(), other.worker.remove_old());
        for round in [here.unwrap(), there.unwrap()] {
            assert!(round <= 1000, "500 of each receiver: {round}");
            removed += round;
        }
        rounds += 1;
        assert!(rounds < 100, "{removed} of {ROWS}");
    }
    assert_eq!(removed, ROWS);
    assert_eq!(remove(&app).await, 0);
    other.stop().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_much_waits_for_is_deleted_at_once_and_gets_nothing_more() {
    let app = TestApp::by_hand().await;
    let id = endpoint(&app, "/much", json!({})).await;
    let made = count(
        &app,
        "WITH made AS (
            INSERT INTO webhook_deliveries (organization_id, endpoint_id, call_id, sequence, state, due_at, created_at)
            SELECT organization_id, id, gen_random_uuid(), 1, 'pending', created_at, created_at
            FROM webhook_endpoints CROSS JOIN generate_series(1, 11200)
            WHERE url LIKE '%/much'
            RETURNING 1
        )
        SELECT count(*) FROM made",
    )
    .await;
    assert_eq!(made, 11_200);
    let gone = app.client.delete(&format!("{PATH}/{id}")).await;
    assert_eq!(gone.status, 204, "{}", gone.text);

    let waiting = "SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'";
    assert_eq!(count(&app, waiting).await, 1_200);
    assert_eq!(deliver(&app).await, 0, "nothing is taken for it");
    assert_eq!(remove(&app).await, 1_200);
    assert_eq!(count(&app, waiting).await, 0);
    assert!(app.receiver.received().is_empty());
    app.stop().await;
}
