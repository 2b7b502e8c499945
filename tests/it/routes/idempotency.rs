//! `Idempotency-Key`: the same key and request get the same answer, and the work is done once.

use std::collections::BTreeSet;

use onhook::domain::token::{Environment, Scope};
use reqwest::Method;
use serde_json::{Value, json};

use super::steps::{dialled, nobody_acts, sid};
use crate::support::{
    app::TestApp,
    client::{Reply, TestClient},
    wait::wait_for,
};

async fn post(client: &TestClient, path: &str, key: &str, body: &Value) -> Reply {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    client
        .send(Method::POST, path, &headers, &body.to_string())
        .await
}

/// An answer as it was given first, and the same answer from the key.
#[track_caller]
fn replays(first: &Reply, again: &Reply) {
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    for header in ["content-type", "location"] {
        assert_eq!(first.header(header), again.header(header));
    }
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_create_dials_once_and_answers_the_same() {
    let app = TestApp::by_hand().await;
    nobody_acts(&app).await;
    let body = json!({"agent_id": app.tenant.agent_id, "to": "+15550101"});
    let first = post(&app.client, "/api/v1/calls", "order-1001", &body).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let id = first.json()["id"].as_str().expect("an id").to_owned();
    sid(&app, &id).await;
    let ended = format!("/api/v1/calls/{id}/end");
    assert_eq!(app.client.post_nothing(&ended).await.status, 200);
    app.advance(3600);

    // Also when the call has moved on, and as another spelling of the path.
    let again = post(&app.client, "/api/v1/calls", "order-1001", &body).await;
    replays(&first, &again);
    replays(
        &first,
        &post(&app.client, "/api/v1/calls/", "order-1001", &body).await,
    );
    assert_eq!(dialled(&app).await, 1);

    // Another request with the key is refused, whatever differs.
    let mut other = body.clone();
    other["to"] = json!("+15550102");
    let refused = post(&app.client, "/api/v1/calls", "order-1001", &other).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (422, &json!("IDEMPOTENCY_KEY_REUSED"))
    );
    // A token that may see less is not shown what another one was answered.
    let other_agent = Some(vec![app.stranger.agent_id]);
    let restricted = app
        .token(Environment::Live, &[Scope::CallsCreate], other_agent)
        .await;
    let restricted = app.client.with_token(Some(&restricted));
    let refused = post(&restricted, "/api/v1/calls", "order-1001", &body).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (422, &json!("IDEMPOTENCY_KEY_REUSED"))
    );

    // A new token of the organisation is the same client; another organisation is not.
    let scopes = [Scope::CallsCreate, Scope::CallsRead];
    let rotated = app.token(Environment::Live, &scopes, None).await;
    let rotated = app.client.with_token(Some(&rotated));
    replays(
        &first,
        &post(&rotated, "/api/v1/calls", "order-1001", &body).await,
    );
    let stranger = app.client.with_token(Some(&app.stranger.token));
    let theirs = json!({"agent_id": app.stranger.agent_id, "to": "+15550101"});
    let placed = post(&stranger, "/api/v1/calls", "order-1001", &theirs).await;
    assert_eq!(
        (placed.status, placed.header("idempotent-replayed")),
        (201, None)
    );

    // The key belongs to the route.
    let path = format!("/api/v1/agents/{}/call", app.tenant.agent_id);
    let made = post(&app.client, &path, "order-1001", &body).await;
    assert_eq!(made.status, 200, "{}", made.text);
    replays(&made, &post(&app.client, &path, "order-1001", &body).await);
    wait_for("three dials", || dialled(&app), |dialled| *dialled >= 3).await;
    assert_eq!(dialled(&app).await, 3);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_requests_at_once_with_one_key_place_one_call() {
    let app = TestApp::by_hand().await;
    nobody_acts(&app).await;
    let agent = app.tenant.agent_id;
    for (path, status) in [
        ("/api/v1/calls".to_owned(), 201),
        (format!("/api/v1/agents/{agent}/call"), 200),
    ] {
        let before = dialled(&app).await;
        let body = json!({"agent_id": agent, "to": "+15550101"});
        let body = if status == 201 {
            body
        } else {
            json!({"to": "+15550101"})
        };
        let requests = (0..20).map(|_| {
            let (client, path, body) = (app.client.clone(), path.clone(), body.clone());
            app.ambient
                .tasks
                .spawn(async move { post(&client, &path, "once", &body).await })
        });
        let mut answers = BTreeSet::new();
        let mut replayed = 0;
        for request in requests.collect::<Vec<_>>() {
            let reply = request.await.expect("an answer");
            replayed += usize::from(reply.header("idempotent-replayed").is_some());
            answers.insert((reply.status, reply.text));
        }
        assert_eq!(answers.len(), 1, "{answers:#?}");
        assert_eq!(answers.first().map(|(status, _)| *status), Some(status));
        assert_eq!(replayed, 19);
        let reply: Value = serde_json::from_str(&answers.first().expect("one").1).expect("JSON");
        let id = reply["id"]
            .as_str()
            .or_else(|| reply["data"]["id"].as_str());
        sid(&app, id.expect("an id")).await;
        assert_eq!(dialled(&app).await, before + 1);
    }
    assert_eq!(
        app.client.get("/api/v1/calls/count").await.text,
        r#"{"count":2}"#
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_end_answers_the_same_on_every_route() {
    let app = TestApp::by_hand().await;
    let agent = app.tenant.agent_id;
    for (number, route) in [
        "/api/v1/calls/{id}/end",
        "/api/v1/calls/{id}/terminate",
        "/api/v1/agents/{agent}/end-call",
    ]
    .into_iter()
    .enumerate()
    {
        let id = app.place_answered().await;
        let path = route
            .replace("{id}", &id)
            .replace("{agent}", &agent.to_string());
        let body = if number == 2 {
            json!({"call_sid": id})
        } else {
            json!({})
        };
        let key = format!("end-{number}");
        let first = post(&app.client, &path, &key, &body).await;
        assert_eq!(first.status, 200, "{}", first.text);
        app.wait_for_status(&id, "completed").await;
        app.advance(1);

        replays(&first, &post(&app.client, &path, &key, &body).await);
        let mut other = body.clone();
        other["note"] = json!("another request");
        let refused = post(&app.client, &path, &key, &other).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        // The same key on another call's path is another request.
        let elsewhere = path.replace(&id, "00000000-0000-4000-8000-000000000000");
        if elsewhere != path {
            assert_eq!(post(&app.client, &elsewhere, &key, &body).await.status, 422);
        }
        for malformed in ["", "a b", "ä", &"k".repeat(256)] {
            let refused = post(&app.client, &path, malformed, &body).await;
            assert_eq!(refused.status, 400, "{malformed:?}: {}", refused.text);
        }
        assert_eq!(app.at_provider(&id).await["hangup_requests"], 1);
    }

    // What should be tried again is not kept.
    let id = app.place_answered().await;
    let path = format!("/api/v1/calls/{id}/terminate");
    app.fault("hangup", 1, &json!({"respond": {"status": 401}}))
        .await;
    let failed = post(&app.client, &path, "again", &json!({})).await;
    assert_eq!(failed.status, 500, "{}", failed.text);
    let done = post(&app.client, &path, "again", &json!({})).await;
    assert_eq!(
        (done.status, done.header("idempotent-replayed")),
        (200, None)
    );

    // Ten at once with one key: one does it, the others get its answer or are asked to wait.
    let id = app.place_answered().await;
    let path = format!("/api/v1/calls/{id}/terminate");
    let requests = (0..10).map(|_| {
        let (client, path) = (app.client.clone(), path.clone());
        let tasks = &app.ambient.tasks;
        tasks.spawn(async move { post(&client, &path, "at-once", &json!({})).await })
    });
    let mut done = 0;
    for request in requests.collect::<Vec<_>>() {
        let reply = request.await.expect("an answer");
        match reply.status {
            200 => done += 1,
            status => {
                assert_eq!((status, reply.header("retry-after")), (409, Some("1")));
            }
        }
    }
    assert!(done >= 1);
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_webhook_endpoint_is_one_and_shows_its_secret_again() {
    let app = TestApp::by_hand().await;
    let path = "/api/v1/webhook-endpoints";
    let body = json!({"url": "https://example.com/hooks"});

    let first = post(&app.client, path, "hook", &body).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let again = post(&app.client, path, "hook", &body).await;
    replays(&first, &again);
    assert!(
        again.json()["secret"]
            .as_str()
            .expect("a secret")
            .starts_with("whsec_")
    );
    let other = json!({"url": "https://example.com/other"});
    assert_eq!(post(&app.client, path, "hook", &other).await.status, 422);
    for malformed in ["", "a b", "ä"] {
        let refused = post(&app.client, path, malformed, &body).await;
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (400, &json!("INVALID_REQUEST"))
        );
    }
    let listed = app.client.get(path).await.json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2));

    // The answer is kept sealed: the secret is nowhere in clear.
    let mut owner = app.database.as_owner().await;
    let clear: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM idempotency_keys WHERE position('whsec_'::bytea IN answer_sealed) > 0",
    )
    .fetch_one(&mut owner)
    .await
    .expect("a count");
    assert_eq!(clear, 0);
    app.stop().await;
}
