//! `POST /api/v1/agents/{agent_id}/call`: make a call, whose `id` end-call takes.

use onhook::domain::token::{Environment, Scope};
use serde_json::{Value, json};

use super::steps::{START, dialled, nobody_acts, sid, telling};
use crate::support::{app::TestApp, client::Reply, wait::wait_for};

fn path(app: &TestApp) -> String {
    format!("/api/v1/agents/{}/call", app.tenant.agent_id)
}

async fn make(app: &TestApp, body: &Value) -> Reply {
    app.client.post(&path(app), body).await
}

fn id_in(reply: &Reply) -> String {
    let id = reply.json()["data"]["id"].as_str().map(str::to_owned);
    id.unwrap_or_else(|| panic!("no id: {}", reply.text))
}

fn initiated(app: &TestApp, id: &str) -> String {
    let agent_id = app.tenant.agent_id;
    format!(
        r#"{{"success":true,"data":{{"id":"{id}","agent_id":"{agent_id}","to":"+15550101","status":"initiated","created_at":"{START}"}}}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_made_and_its_id_is_what_end_call_takes() {
    let app = TestApp::by_hand().await;
    let body = json!({
        "to": "+15550101",
        "payload": {"order": 1001},
        "context": ["said before"],
        "is_testing": true,
        "voice": "members that we do not know are passed over",
    });

    let reply = make(&app, &body).await;

    assert_eq!(reply.status, 200);
    let id = id_in(&reply);
    assert_eq!(reply.text, initiated(&app, &id));
    assert_eq!(reply.header("location"), None);
    let call = app.wait_for_status(&id, "in-progress").await;
    assert_eq!(
        call["metadata"],
        json!({"payload": {"order": 1001}, "context": ["said before"], "is_testing": true})
    );
    assert_eq!(dialled(&app).await, 1);
    let path = format!("/api/v1/agents/{}/end-call", app.tenant.agent_id);
    let ended = app.client.post(&path, &json!({"call_sid": id})).await;
    assert_eq!(ended.status, 200, "{}", ended.text);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_dialled_is_refused_before_anybody_hears_of_it() {
    let app = TestApp::by_hand().await;
    let other_agent = Some(vec![app.stranger.agent_id]);
    let restricted = app
        .token(Environment::Live, &[Scope::CallsCreate], other_agent)
        .await;
    let restricted = app.client.with_token(Some(&restricted));
    let good = json!({"to": "+15550101"});
    let not_found =
        r#"{"success":false,"message":"Agent not found","code":"AGENT_NOT_FOUND"}"#.to_owned();
    let unknown = app
        .client
        .post(
            "/api/v1/agents/00000000-0000-4000-8000-000000000000/call",
            &good,
        )
        .await;
    assert_eq!((unknown.status, &unknown.text), (404, &not_found));
    for (client, agent) in [
        (&app.client, app.stranger.agent_id.to_string()),
        (&app.client, "agent-uuid".to_owned()),
        (&restricted, app.tenant.agent_id.to_string()),
    ] {
        let reply = client
            .post(&format!("/api/v1/agents/{agent}/call"), &good)
            .await;
        assert_eq!((reply.status, &reply.text), (404, &not_found), "{agent}");
        assert_eq!(telling(&reply.headers), telling(&unknown.headers));
    }
    let number = "/to must be an E.164 phone number: '+', country code and number, 2 to 15 digits, for example +15550100123";
    for (body, message) in [
        (json!({}), "/to is required"),
        (
            json!({"to": null}),
            "/to invalid type: null, expected a string",
        ),
        (json!({"to": "555"}), number),
        (
            json!({"to": "+1555\u{0}"}),
            "/to must not contain a NUL character",
        ),
        (
            json!({"to": "+15550101", "delay_seconds": -1}),
            "/delay_seconds must be from 0 to 604800",
        ),
        (
            json!({"to": "+15550101", "delay_seconds": 604_801}),
            "/delay_seconds must be from 0 to 604800",
        ),
        (
            json!({"to": "+15550101", "payload": "x".repeat(65_536)}),
            "/payload must be at most 64 KiB as JSON, with context",
        ),
    ] {
        let reply = make(&app, &body).await;
        assert_eq!(reply.status, 422, "{}", reply.text);
        assert_eq!(reply.json()["message"], message);
        assert_eq!(reply.json()["code"], "VALIDATION_FAILED");
    }
    let calls = app.client.get("/api/v1/calls/count").await;
    assert_eq!(calls.text, r#"{"count":0}"#);
    assert_eq!(dialled(&app).await, 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_the_provider_refuses_is_a_failed_call() {
    let app = TestApp::by_hand().await;
    let refusal = json!({"respond": {"status": 400, "body": {
        "code": 21211, "message": "Invalid 'To' Phone Number", "status": 400
    }}});
    app.fault("create", 1, &refusal).await;

    let reply = make(&app, &json!({"to": "+15550101"})).await;

    let body =
        r#"{"success":false,"message":"Failed to place call via twilio","code":"PROVIDER_ERROR"}"#;
    assert_eq!((reply.status, reply.text.as_str()), (502, body));
    let list = app.client.get("/api/v1/calls").await.json();
    assert_eq!(list["items"][0]["status"], "failed");
    assert_eq!(list["items"][0]["ended_reason"], "invalid_destination");
    assert_eq!(list["items"][0]["cost"]["amount_micros"], 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_call_is_dialled_when_its_time_has_come() {
    let app = TestApp::by_hand().await;
    let reply = make(&app, &json!({"to": "+15550101", "delay_seconds": 60})).await;
    assert_eq!(reply.status, 200);
    let id = id_in(&reply);
    assert_eq!(reply.text, initiated(&app, &id));

    app.advance(59);
    assert_eq!(app.node.worker.run_due().await.expect("a round"), 0);
    assert_eq!(dialled(&app).await, 0);
    let call = app.call(&id).await;
    assert_eq!(
        (&call["status"], &call["call_sid"]),
        (&json!("initiating"), &json!(id))
    );

    app.advance(2);
    assert_eq!(app.node.worker.run_due().await.expect("a round"), 1);
    app.wait_for_status(&id, "in-progress").await;
    assert_eq!(dialled(&app).await, 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_call_that_is_ended_first_is_never_dialled() {
    let app = TestApp::by_hand().await;
    nobody_acts(&app).await;
    let body = json!({"to": "+15550101", "delay_seconds": 60});
    let agent = app.tenant.agent_id;
    for (route, body_of_end, answer) in [
        (
            "/api/v1/calls/{id}/terminate",
            json!({}),
            r#"{"success":true,"message":"Call terminated successfully via twilio"}"#,
        ),
        (
            "/api/v1/agents/{agent}/end-call",
            json!({"call_sid": "{id}"}),
            r#"{"success":true,"data":{"id":"{id}","status":"completed","ended_at":"{START}","ended_reason":"canceled_by_api"}}"#,
        ),
    ] {
        let id = id_in(&make(&app, &body).await);
        let path = route
            .replace("{id}", &id)
            .replace("{agent}", &agent.to_string());
        let body_of_end: Value =
            serde_json::from_str(&body_of_end.to_string().replace("{id}", &id)).expect("JSON");

        let reply = app.client.post(&path, &body_of_end).await;

        let answer = answer.replace("{id}", &id).replace("{START}", START);
        assert_eq!((reply.status, reply.text), (200, answer));
        let call = app.call(&id).await;
        assert_eq!(call["status"], "canceled");
        assert_eq!(call["ended_reason"], "canceled_by_api");
        assert_eq!(call["end"]["confirmed_by"], "never_dialed");
        assert_eq!(call["end"]["attempts"], 0);
    }
    app.advance(120);
    assert_eq!(app.node.worker.run_due().await.expect("a round"), 0);
    assert_eq!(dialled(&app).await, 0);

    // What is dialled after the same wait shows that the rounds work.
    let id = id_in(&make(&app, &body).await);
    app.advance(61);
    assert_eq!(app.node.worker.run_due().await.expect("a round"), 1);
    sid(&app, &id).await;
    wait_for("the dial", || dialled(&app), |dialled| *dialled == 1).await;
    app.stop().await;
}
