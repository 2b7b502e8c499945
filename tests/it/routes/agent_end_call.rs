//! `POST /api/v1/agents/{agent_id}/end-call`, byte for byte as its page has it.

use onhook::domain::token::{Environment, Scope};
use reqwest::Method;
use serde_json::json;
use sqlx::Executor as _;

use super::steps::{START, ended_calls, new_client, nobody_acts, sid, telling};
use crate::support::{app::TestApp, client::Reply};

const NOT_FOUND: &str = r#"{"success":false,"message":"Call not found for this agent"}"#;
const NOT_ACTIVE: &str =
    r#"{"success":false,"message":"Call is not active","code":"CALL_NOT_ACTIVE"}"#;
const REFUSED: &str =
    r#"{"success":false,"message":"Failed to end call via twilio","code":"PROVIDER_ERROR"}"#;

fn path(app: &TestApp) -> String {
    format!("/api/v1/agents/{}/end-call", app.tenant.agent_id)
}

fn ended(id: &str, status: &str) -> String {
    format!(
        r#"{{"success":true,"data":{{"id":"{id}","status":"{status}","ended_at":"{START}","ended_reason":"ended_by_api"}}}}"#
    )
}

#[track_caller]
fn answers(reply: &Reply, status: u16, body: &str) {
    assert_eq!((reply.status, reply.text.as_str()), (status, body));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(reply.header("x-request-id").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_ended_however_it_is_named_and_however_the_body_is_labelled() {
    let app = TestApp::by_hand().await;
    let json = [("content-type", "application/json; charset=utf-8")];
    for (by_our_id, end_of_path, headers, more) in [
        (true, "", &json[..], ""),
        (
            false,
            "",
            &json[..],
            r#","reason":"members that we do not know are passed over""#,
        ),
        (true, "/", &[][..], ""),
    ] {
        let id = app.place_answered().await;
        let name = if by_our_id {
            id.clone()
        } else {
            sid(&app, &id).await
        };
        let body = format!(r#"{{"call_sid":"{name}"{more}}}"#);
        let path = path(&app) + end_of_path;

        let reply = app.client.send(Method::POST, &path, headers, &body).await;

        answers(&reply, 200, &ended(&id, "completed"));
        let call = app.wait_for_status(&id, "completed").await;
        assert_eq!(call["ended_reason"], "ended_by_api");
        assert_eq!(call["ended_at"], START);
        assert_eq!(app.at_provider(&id).await["hangup_requests"], 1);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_over_is_not_active_however_it_ended() {
    let app = TestApp::by_hand().await;
    for (id, status) in ended_calls(&app).await {
        let before = app.call(&id).await;

        let reply = new_client(&app)
            .post(&path(&app), &json!({"call_sid": id}))
            .await;

        answers(&reply, 409, NOT_ACTIVE);
        assert_eq!(app.call(&id).await, before, "{status}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_somebody_else_is_a_call_that_does_not_exist() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    let provider_id = sid(&app, &id).await;
    let stranger = app.client.with_token(Some(&app.stranger.token));
    let other_agent = Some(vec![app.stranger.agent_id]);
    let restricted = app
        .token(Environment::Live, &[Scope::CallsEnd], other_agent)
        .await;
    let restricted = app.client.with_token(Some(&restricted));
    // Another agent of the same organisation.
    let mut owner = app.database.as_owner().await;
    let hire = "INSERT INTO agents (organization_id, id, name, settings, created_at, published_at)
        SELECT organization_id, '0a000000-0000-4000-8000-000000000001', 'Other', settings, created_at, published_at
        FROM agents";
    owner.execute(hire).await.expect("an agent for each");
    let colleague = "0a000000-0000-4000-8000-000000000001";

    let ours = app.tenant.agent_id.to_string();
    let theirs = app.stranger.agent_id.to_string();
    let nobody = "00000000-0000-4000-8000-000000000000";
    let ask = |client: &crate::support::client::TestClient, agent: &str, call: &str| {
        let path = format!("/api/v1/agents/{agent}/end-call");
        let (client, body) = (client.clone(), json!({"call_sid": call}));
        async move { client.post(&path, &body).await }
    };
    let unknown = ask(&app.client, &ours, nobody).await;
    answers(&unknown, 404, NOT_FOUND);
    for (client, agent, call) in [
        (&stranger, ours.as_str(), id.as_str()),
        (&stranger, &ours, &provider_id),
        (&stranger, &theirs, &id),
        (&stranger, &theirs, &provider_id),
        (&restricted, &ours, &id),
        (&app.client, colleague, &id),
        (&app.client, colleague, &provider_id),
        (&app.client, nobody, &id),
        (&app.client, "not-a-uuid", &id),
        (&app.client, "%00", &id),
        (&app.client, "%FF", &id),
        (&app.client, &ours, ""),
        (&app.client, &ours, "a b"),
        (&app.client, &ours, "<script>"),
        (&app.client, &ours, "\r\nx: y"),
        (&app.client, &ours, &"9".repeat(5000)),
    ] {
        let reply = ask(client, agent, call).await;

        answers(&reply, 404, NOT_FOUND);
        assert_eq!(telling(&reply.headers), telling(&unknown.headers), "{call}");
    }
    let call = app.call(&id).await;
    assert_eq!(call["status"], "in-progress");
    assert_eq!(call["end"], json!(null));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_is_told_as_it_is() {
    let app = TestApp::by_hand().await;
    nobody_acts(&app).await;

    // Passing: accepted, and the hang-up goes on by itself.
    let id = app.place().await;
    sid(&app, &id).await;
    app.fault("hangup", 1, &json!({"respond": {"status": 500}}))
        .await;
    let reply = app.client.post(&path(&app), &json!({"call_sid": id})).await;
    answers(&reply, 200, &ended(&id, "ending"));
    assert_eq!(app.call(&id).await["status"], "initiating");
    app.advance(1);
    assert_eq!(app.node.worker.run_due().await.expect("a round"), 1);
    let call = app.wait_for_status(&id, "canceled").await;
    assert_eq!(call["ended_at"], START);

    // For good: the call stays live and visible.
    let id = app.place().await;
    sid(&app, &id).await;
    app.fault("hangup", 1, &json!({"respond": {"status": 401}}))
        .await;
    let reply = app.client.post(&path(&app), &json!({"call_sid": id})).await;
    answers(&reply, 502, REFUSED);
    let call = app.call(&id).await;
    assert_eq!(call["status"], "initiating");
    assert_eq!(call["end"]["state"], "failed");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_told_in_the_routes_own_style() {
    let app = TestApp::by_hand().await;
    let read_only = app
        .token(Environment::Live, &[Scope::CallsRead], None)
        .await;
    let json = [("content-type", "application/json")];
    let xml = [("content-type", "application/xml")];
    let missing =
        r#"{"success":false,"message":"/call_sid is required","code":"VALIDATION_FAILED"}"#;
    for (client, headers, body, status, answer) in [
        (&app.client, &json[..], "", 422, missing),
        (&app.client, &[][..], "", 422, missing),
        (&app.client, &json[..], "{}", 422, missing),
        (
            &app.client,
            &json[..],
            r#"{"call_sid":7}"#,
            422,
            r#"{"success":false,"message":"/call_sid invalid type: integer `7`, expected a string","code":"VALIDATION_FAILED"}"#,
        ),
        (
            &app.client,
            &json[..],
            r#"["call-uuid-123"]"#,
            422,
            r#"{"success":false,"message":"The body must be a JSON object","code":"VALIDATION_FAILED"}"#,
        ),
        (
            &app.client,
            &json[..],
            r#"{"call_sid":"a\u0000b"}"#,
            422,
            r#"{"success":false,"message":"/call_sid must not contain a NUL character","code":"VALIDATION_FAILED"}"#,
        ),
        (
            &app.client,
            &json[..],
            r#"{"call_sid""#,
            400,
            r#"{"success":false,"message":"The body is not valid JSON: EOF while parsing an object at line 1 column 11","code":"INVALID_REQUEST"}"#,
        ),
        (
            &app.client,
            &xml[..],
            "<call_sid/>",
            415,
            r#"{"success":false,"message":"Send the body as JSON, with Content-Type: application/json","code":"UNSUPPORTED_MEDIA_TYPE"}"#,
        ),
        (
            &app.client.with_token(None),
            &json[..],
            "{}",
            401,
            r#"{"success":false,"message":"Send a valid API token: Authorization: Bearer ohk_live_…","code":"UNAUTHENTICATED"}"#,
        ),
        (
            &app.client.with_token(Some(&read_only)),
            &json[..],
            "{}",
            403,
            r#"{"success":false,"message":"The token lacks the scope calls:end; use a token that has it","code":"SCOPE_MISSING"}"#,
        ),
    ] {
        let reply = client.send(Method::POST, &path(&app), headers, body).await;
        answers(&reply, status, answer);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_that_is_not_verified_may_still_end_by_this_route() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    let mut owner = app.database.as_owner().await;
    let unverify = "UPDATE organizations SET verified_at = NULL";
    owner.execute(unverify).await.expect("an update");
    let token = app.token(Environment::Live, &[Scope::CallsEnd], None).await;
    let unverified = app.client.with_token(Some(&token));

    let reply = unverified.post(&path(&app), &json!({"call_sid": id})).await;

    answers(&reply, 200, &ended(&id, "completed"));
    app.stop().await;
}
