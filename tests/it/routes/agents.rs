//! `/api/v1/agents`: who places and takes calls.

use onhook::domain::token::{Environment, Scope};
use reqwest::Method;
use serde_json::{Value, json};

use super::steps::is_refused;
use crate::support::{
    app::TestApp,
    client::{Reply, TestClient},
};

const PATH: &str = "/api/v1/agents";

async fn make(client: &TestClient, body: &Value) -> String {
    let reply = client.post(PATH, body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()["id"].as_str().expect("an id").to_owned()
}

async fn patch(client: &TestClient, id: &str, body: &Value) -> Reply {
    let path = format!("{PATH}/{id}");
    client
        .send(Method::PATCH, &path, &[], &body.to_string())
        .await
}

async fn dial(app: &TestApp, agent: &str, to: &str) -> Reply {
    let body = json!({"agent_id": agent, "to": to, "from": "+15550100"});
    app.client.post("/api/v1/calls", &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_made_changed_and_deleted() {
    let app = TestApp::by_hand().await;
    let body = json!({
        "name": "Reminders", "answer": {"mode": "say", "text": "Hello."},
        "limits": {"max_duration_seconds": 600}, "allowed_destinations": ["+49"],
    });
    let id = make(&app.client, &body).await;
    let mut expected = json!({
        "id": id, "name": "Reminders", "published": false,
        "answer": {"mode": "say", "text": "Hello."},
        "limits": {"max_duration_seconds": 600, "ring_timeout_seconds": 60},
        "allowed_destinations": ["+49"], "phone_numbers": [],
        "created_at": "2026-11-21T09:30:00.000Z", "updated_at": null, "published_at": null,
    });
    let path = format!("{PATH}/{id}");
    assert_eq!(app.client.get(&path).await.json(), expected);

    app.advance(60);
    let change = json!({
        "answer": {"mode": "stream", "url": "wss://example.com/audio"},
        "limits": {"ring_timeout_seconds": 30}, "allowed_destinations": null,
    });
    let changed = patch(&app.client, &id, &change).await;

    assert_eq!(changed.status, 200, "{}", changed.text);
    expected["answer"] = json!({"mode": "stream", "url": "wss://example.com/audio"});
    expected["limits"]["ring_timeout_seconds"] = json!(30);
    expected["allowed_destinations"] = Value::Null;
    expected["updated_at"] = json!("2026-11-21T09:31:00.000Z");
    assert_eq!(changed.json(), expected);
    assert_eq!(app.client.get(&path).await.json(), expected);
    let list = app.client.get(PATH).await.json();
    let items = list["items"].as_array().expect("items");
    assert!(items.contains(&expected), "{list}");

    assert_eq!(app.client.delete(&path).await.status, 204);

    is_refused(&app.client.get(&path).await, 404, "AGENT_NOT_FOUND");
    is_refused(&app.client.delete(&path).await, 404, "AGENT_NOT_FOUND");
    is_refused(
        &dial(&app, &id, "+4930123456").await,
        404,
        "AGENT_NOT_FOUND",
    );
    assert!(!app.client.get(PATH).await.text.contains(&id));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpublished_agent_takes_no_new_calls_and_keeps_its_live_ones() {
    let app = TestApp::by_hand().await;
    let agent = app.tenant.agent_id.to_string();
    let live = app.place_answered().await;
    for _ in 0..2 {
        let reply = app
            .client
            .post_nothing(&format!("{PATH}/{agent}/unpublish"))
            .await;
        assert_eq!(
            (reply.status, &reply.json()["published"]),
            (200, &json!(false))
        );
    }
    is_refused(
        &dial(&app, &agent, "+15550101").await,
        409,
        "AGENT_NOT_PUBLISHED",
    );
    assert_eq!(app.call(&live).await["status"], "in-progress");
    let in_use = app.client.delete(&format!("{PATH}/{agent}")).await;
    is_refused(&in_use, 409, "AGENT_IN_USE");

    let reply = app
        .client
        .post_nothing(&format!("{PATH}/{agent}/publish"))
        .await;

    assert_eq!(
        (reply.status, &reply.json()["published"]),
        (200, &json!(true))
    );
    assert_eq!(dial(&app, &agent, "+15550101").await.status, 201);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_calls_only_where_it_may() {
    let app = TestApp::by_hand().await;
    let agent = app.tenant.agent_id.to_string();
    let reply = patch(
        &app.client,
        &agent,
        &json!({"allowed_destinations": ["+49", "+1555"]}),
    )
    .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    for to in ["+33123456789", "+12125550100"] {
        is_refused(
            &dial(&app, &agent, to).await,
            403,
            "DESTINATION_NOT_ALLOWED",
        );
    }
    let body = json!({"to": "+33123456789"});
    let path = format!("{PATH}/{agent}/call");
    let dropin = app.client.post(&path, &body).await;
    assert_eq!(
        (dropin.status, dropin.json()["code"].clone()),
        (403, json!("DESTINATION_NOT_ALLOWED"))
    );
    assert_eq!(dial(&app, &agent, "+15550101").await.status, 201);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_are_named() {
    let app = TestApp::by_hand().await;
    let agent = app.tenant.agent_id.to_string();
    for (change, pointer) in [
        (
            json!({"answer": {"mode": "say", "text": ""}}),
            "/answer/text",
        ),
        (
            json!({"answer": {"mode": "stream", "url": "http://example.com"}}),
            "/answer/url",
        ),
        (json!({"answer": {"mode": "sing", "text": "x"}}), "/answer"),
        (json!({"answer": {"mode": "say", "txt": "x"}}), "/answer"),
        (
            json!({"limits": {"max_duration_seconds": 0}}),
            "/limits/max_duration_seconds",
        ),
        (
            json!({"limits": {"max_duration": 5}}),
            "/limits/max_duration",
        ),
        (
            json!({"allowed_destinations": ["49"]}),
            "/allowed_destinations/0",
        ),
        (json!({"nmae": "x"}), "/nmae"),
    ] {
        let refused = patch(&app.client, &agent, &change).await;
        is_refused(&refused, 422, "VALIDATION_FAILED");
        let at = refused.json()["errors"][0]["pointer"]
            .as_str()
            .expect("a pointer")
            .to_owned();
        assert!(at.starts_with(pointer), "{change}: {at}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_token_sees_its_agents_and_makes_none() {
    let app = TestApp::by_hand().await;
    let other = make(&app.client, &json!({"name": "Other"})).await;
    let scopes = [Scope::AgentsRead, Scope::AgentsWrite];
    let only = Some(vec![app.tenant.agent_id]);
    let token = app.token(Environment::Live, &scopes, only).await;
    let client = app.client.with_token(Some(&token));
    let list = client.get(PATH).await.json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
    is_refused(
        &client.get(&format!("{PATH}/{other}")).await,
        404,
        "AGENT_NOT_FOUND",
    );
    is_refused(
        &patch(&client, &other, &json!({"name": "x"})).await,
        404,
        "AGENT_NOT_FOUND",
    );
    is_refused(
        &client.post(PATH, &json!({"name": "x"})).await,
        403,
        "TOKEN_RESTRICTED",
    );
    let own = app.tenant.agent_id.to_string();
    assert_eq!(
        patch(&client, &own, &json!({"name": "Mine"})).await.status,
        200
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_recorded_for_an_agent_that_is_deleted_meanwhile() {
    let app = TestApp::by_hand().await;
    for _ in 0..8 {
        let id = make(&app.client, &json!({"name": "Brief"})).await;
        let path = format!("{PATH}/{id}");
        assert_eq!(
            app.client
                .post_nothing(&format!("{path}/publish"))
                .await
                .status,
            200
        );
        let one = || dial(&app, &id, "+15550101");
        let (a, b, c, deleted) = tokio::join!(one(), one(), one(), app.client.delete(&path));
        let dialled = [a, b, c];
        let placed = dialled.iter().filter(|reply| reply.status == 201).count();
        match deleted.status {
            // No call of the agent was live, and none is.
            204 => {
                let live = app
                    .client
                    .get(&format!("/api/v1/calls/count?status=ongoing&agent_id={id}"))
                    .await;
                assert_eq!(
                    (placed, &live.json()["count"]),
                    (0, &json!(0)),
                    "{}",
                    live.text
                );
            }
            409 => assert!(placed > 0),
            status => panic!("{status}: {}", deleted.text),
        }
    }
    app.stop().await;
}
