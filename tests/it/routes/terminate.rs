//! `POST /api/v1/calls/{call_sid}/terminate`, byte for byte as its page has it.

use onhook::domain::token::{Environment, Scope};
use reqwest::Method;
use serde_json::json;
use sqlx::Executor as _;

use super::steps::{ended_calls, new_client, nobody_acts, sid, telling};
use crate::support::{app::TestApp, client::Reply, wait::wait_for};

const TERMINATED: &str = r#"{"success":true,"message":"Call terminated successfully via twilio"}"#;
const NOT_FOUND: &str =
    r#"{"detail":"Call not found or you don't have permission to terminate it"}"#;
const RETRYING: &str =
    r#"{"detail":"Failed to terminate call via twilio","code":"HANGUP_RETRYING"}"#;
const FAILED: &str = r#"{"detail":"Failed to terminate call via twilio"}"#;

fn path(call: &str) -> String {
    format!("/api/v1/calls/{call}/terminate")
}

#[track_caller]
fn answers(reply: &Reply, status: u16, body: &str) {
    assert_eq!((reply.status, reply.text.as_str()), (status, body));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(reply.header("x-request-id").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_terminated_however_it_is_named_and_whatever_the_body() {
    let app = TestApp::by_hand().await;
    let json = [("content-type", "application/json")];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let xml = [("content-type", "application/xml")];
    for (by_our_id, end_of_path, headers, body) in [
        (false, "", &[][..], ""),
        (true, "", &[][..], ""),
        (true, "/", &json[..], "{}"),
        (false, "/?x=1", &form[..], "{}"),
        (false, "", &json[..], "this page takes no body"),
        (true, "", &xml[..], "<a/>"),
    ] {
        let id = app.place_answered().await;
        let name = if by_our_id {
            id.clone()
        } else {
            sid(&app, &id).await
        };
        let path = path(&name) + end_of_path;

        let reply = app.client.send(Method::POST, &path, headers, body).await;

        answers(&reply, 200, TERMINATED);
        let call = app.call(&id).await;
        assert_eq!(call["status"], "completed", "{path}");
        assert_eq!(call["ended_reason"], "ended_by_api");
        assert_eq!(app.at_provider(&id).await["hangup_requests"], 1);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_over_is_refused_with_its_real_status() {
    let app = TestApp::by_hand().await;
    for (id, status) in ended_calls(&app).await {
        let before = app.call(&id).await;

        let reply = new_client(&app).post_nothing(&path(&id)).await;

        let body =
            format!(r#"{{"detail":"Cannot terminate call - current status is '{status}'"}}"#);
        answers(&reply, 400, &body);
        assert_eq!(app.call(&id).await, before);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_somebody_else_is_a_call_that_does_not_exist() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    let provider_id = sid(&app, &id).await;
    let stranger = app.client.with_token(Some(&app.stranger.token));
    let other_agent = vec![app.stranger.agent_id];
    let restricted = app
        .token(Environment::Live, &[Scope::CallsEnd], Some(other_agent))
        .await;
    let restricted = app.client.with_token(Some(&restricted));

    let unknown = stranger
        .post_nothing(&path("00000000-0000-4000-8000-000000000000"))
        .await;
    answers(&unknown, 404, NOT_FOUND);
    for (client, name) in [
        (&stranger, id.as_str()),
        (&stranger, &provider_id),
        (&restricted, &id),
        (&restricted, &provider_id),
        (&app.client, "CA00000000000000000000000000000000"),
        (&app.client, "%00"),
        (&app.client, "a%20b"),
        (&app.client, "%FF%FE"),
        (&app.client, &"x".repeat(5000)),
    ] {
        let reply = client.post_nothing(&path(name)).await;

        answers(&reply, 404, NOT_FOUND);
        assert_eq!(telling(&reply.headers), telling(&unknown.headers), "{name}");
    }
    let call = app.call(&id).await;
    assert_eq!(call["status"], "in-progress");
    assert_eq!(call["end"], json!(null));
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_is_told_as_it_is() {
    let app = TestApp::by_hand().await;
    nobody_acts(&app).await;

    // Passing: the hang-up goes on by itself.
    let id = app.place().await;
    sid(&app, &id).await;
    app.fault("hangup", 1, &json!({"respond": {"status": 500}}))
        .await;
    let reply = app.client.post_nothing(&path(&id)).await;
    answers(&reply, 500, RETRYING);
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(app.call(&id).await["end"]["state"], "requested");
    app.advance(1);
    assert_eq!(app.node.worker.run_due().await.expect("a round"), 1);
    let call = app.wait_for_status(&id, "canceled").await;
    assert_eq!(call["ended_at"], super::steps::START);

    // For good: the call stays live and visible, and the next wish asks again.
    let id = app.place().await;
    sid(&app, &id).await;
    app.fault("hangup", 1, &json!({"respond": {"status": 401}}))
        .await;
    let reply = app.client.post_nothing(&path(&id)).await;
    answers(&reply, 500, FAILED);
    assert_eq!(reply.header("retry-after"), None);
    let call = app.call(&id).await;
    assert_eq!(call["status"], "initiating");
    assert_eq!(call["end"]["state"], "failed");
    let events = app.client.get(&format!("/api/v1/calls/{id}/events")).await;
    let last = events.json()["items"]
        .as_array()
        .expect("events")
        .last()
        .cloned();
    let last = last.expect("an event");
    assert_eq!(last["type"], "event_phone_call_error");
    assert_eq!(last["data"]["error"]["code"], "HANGUP_FAILED");
    answers(&app.client.post_nothing(&path(&id)).await, 200, TERMINATED);
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 2);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_terminate_is_told_in_the_routes_own_style() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    let mut owner = app.database.as_owner().await;
    let unverify = "UPDATE organizations SET verified_at = NULL";
    owner.execute(unverify).await.expect("an update");
    let token = app
        .token(
            Environment::Live,
            &[Scope::CallsEnd, Scope::CallsRead],
            None,
        )
        .await;
    let unverified = app.client.with_token(Some(&token));
    let read_only = app
        .token(Environment::Live, &[Scope::CallsRead], None)
        .await;

    let refused = unverified.post_nothing(&path(&id)).await;
    answers(
        &refused,
        403,
        r#"{"detail":"Verify your account before you terminate calls"}"#,
    );
    let unscoped = app.client.with_token(Some(&read_only));
    answers(
        &unscoped.post_nothing(&path(&id)).await,
        403,
        r#"{"detail":"The token lacks the scope calls:end; use a token that has it"}"#,
    );
    answers(
        &app.client.with_token(None).post_nothing(&path(&id)).await,
        401,
        r#"{"detail":"Send a valid API token: Authorization: Bearer ohk_live_…"}"#,
    );
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 0);

    // Only this page asks for a verified account: the other ways to end stay open.
    let ended = unverified
        .post_nothing(&format!("/api/v1/calls/{id}/end"))
        .await;
    assert_eq!(ended.status, 200, "{}", ended.text);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_active_calls_are_terminated_as_the_page_shows() {
    let app = TestApp::running().await;
    for _ in 0..3 {
        app.place().await;
    }

    let ongoing = app.client.get("/api/v1/calls?status=ongoing").await.json();
    let ongoing = ongoing["items"].as_array().expect("items").clone();
    assert_eq!(ongoing.len(), 3);
    for call in &ongoing {
        let sid = call["call_sid"].as_str().expect("a sid");
        answers(&app.client.post_nothing(&path(sid)).await, 200, TERMINATED);
    }

    let left = || async { app.client.get("/api/v1/calls?status=ongoing").await.json() };
    wait_for("no call to be left", left, |list| {
        list["items"] == json!([])
    })
    .await;
    app.stop().await;
}
