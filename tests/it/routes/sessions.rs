//! `POST /api/call`, `GET /api/calls` and `POST /api/calls/{call_id}/end` with a token, byte for byte
//! as their pages have them.

use std::sync::Arc;

use onhook::domain::token::{Environment, Scope};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Executor as _;
use strum::VariantArray as _;
use tokio::task::JoinSet;

use super::steps::{dialled, ended_calls, far_end, new_client, nobody_acts, sid, telling};
use crate::support::{
    app::TestApp,
    client::{Reply, TestClient},
};

const NOT_FOUND: &str = r#"{"success":false,"error":"Call not found"}"#;
const COLLEAGUE: &str = "0a000000-0000-4000-8000-000000000001";

#[track_caller]
fn answers(reply: &Reply, status: u16, body: &str) {
    assert_eq!((reply.status, reply.text.as_str()), (status, body));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(reply.header("x-request-id").is_some());
    assert_eq!(reply.header("access-control-allow-origin"), None);
}

fn end(name: &str) -> String {
    format!("/api/calls/{name}/end")
}

fn ended(name: &str) -> String {
    format!(r#"{{"success":true,"message":"Call {name} ended"}}"#)
}

async fn make(client: &TestClient, body: &Value) -> Reply {
    client.post("/api/call", body).await
}

fn id_in(reply: &Reply) -> String {
    let id = reply.json()["call_id"].as_str().map(str::to_owned);
    id.unwrap_or_else(|| panic!("no id: {}", reply.text))
}

/// Another agent in each organisation, published.
async fn hire(app: &TestApp) {
    let hire = "INSERT INTO agents (organization_id, id, name, settings, created_at, published_at)
        SELECT organization_id, '0a000000-0000-4000-8000-000000000001', 'Other', settings,
            created_at, published_at
        FROM agents";
    let mut owner = app.database.as_owner().await;
    owner.execute(hire).await.expect("an agent for each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_made_listed_and_ended_however_it_is_named() {
    let app = TestApp::by_hand().await;
    let body = json!({
        "to": "+15550101",
        "prompt": "You are making a quick announcement.",
        "webhook_url": "https://your-ngrok-url.ngrok.io",
        "metadata": {"order": 1001},
        "voice": "members that we do not know are passed over",
    });
    for (by_our_id, end_of_path, body_of_end) in [
        (true, "", ""),
        (false, "", ""),
        (true, "/", "{}"),
        (false, "/?x=1", "no JSON"),
    ] {
        let made = make(&app.client, &body).await;
        let id = id_in(&made);
        let expected = format!(
            r#"{{"success":true,"call_id":"{id}","to":"+15550101","webhook_url":"https://your-ngrok-url.ngrok.io"}}"#
        );
        answers(&made, 200, &expected);
        let call = app.wait_for_status(&id, "in-progress").await;
        assert_eq!(call["agent_id"], json!(app.tenant.agent_id));
        assert_eq!(call["from"], "+15550100");
        let kept = json!({
            "order": 1001,
            "prompt": "You are making a quick announcement.",
            "webhook_url": "https://your-ngrok-url.ngrok.io",
        });
        assert_eq!(call["metadata"], kept);
        let list = app.client.get("/api/calls/").await;
        let expected = format!(
            r#"{{"calls":[{{"call_id":"{id}","to_number":"+15550101","status":"in-progress","direction":"outbound"}}],"count":1}}"#
        );
        answers(&list, 200, &expected);

        let name = if by_our_id {
            id.clone()
        } else {
            sid(&app, &id).await
        };
        let path = end(&name) + end_of_path;
        let reply = app.client.send(Method::POST, &path, &[], body_of_end).await;

        answers(&reply, 200, &ended(&name));
        let call = app.call(&id).await;
        assert_eq!(call["status"], "completed");
        assert_eq!(call["ended_reason"], "ended_by_api");
        assert_eq!(app.at_provider(&id).await["hangup_requests"], 1);
        answers(
            &app.client.get("/api/calls").await,
            200,
            r#"{"calls":[],"count":0}"#,
        );
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn active_calls_are_listed_newest_first_with_the_other_partys_number() {
    let app = TestApp::by_hand().await;
    ended_calls(&app).await;
    let initiating = app.place().await;
    sid(&app, &initiating).await;
    app.advance(1);
    let outbound = app.place().await;
    far_end(&app, &outbound, "answer").await;
    app.wait_for_status(&outbound, "in-progress").await;
    app.advance(1);
    let incoming = app.place().await;
    sid(&app, &incoming).await;
    let mut owner = app.database.as_owner().await;
    let turn = format!(
        "UPDATE calls SET direction = 'inbound', status = 'ringing', from_number = '+15555555555',
            to_number = '+15550100'
        WHERE id = '{incoming}'"
    );
    let turned = owner.execute(sqlx::AssertSqlSafe(turn)).await;
    assert_eq!(turned.expect("an update").rows_affected(), 1);
    let theirs = json!({"agent_id": app.stranger.agent_id, "to": "+15550199"});
    let stranger = app.client.with_token(Some(&app.stranger.token));
    let theirs = stranger.post("/api/v1/calls", &theirs).await.json();

    let reply = app.client.get("/api/calls?status=completed&limit=1").await;

    let calls = [
        (&incoming, "+15555555555", "ringing", "incoming"),
        (&outbound, "+15550101", "in-progress", "outbound"),
        (&initiating, "+15550101", "initiating", "outbound"),
    ]
    .map(|(id, number, status, direction)| {
        format!(
            r#"{{"call_id":"{id}","to_number":"{number}","status":"{status}","direction":"{direction}"}}"#
        )
    });
    let expected = format!(r#"{{"calls":[{}],"count":3}}"#, calls.join(","));
    answers(&reply, 200, &expected);
    let list = stranger.get("/api/calls").await.json();
    assert_eq!(
        (&list["count"], &list["calls"][0]["call_id"]),
        (&json!(1), &theirs["id"])
    );
    let other_agent = Some(vec![app.stranger.agent_id]);
    let restricted = app
        .token(Environment::Live, Scope::VARIANTS, other_agent)
        .await;
    let list = app
        .client
        .with_token(Some(&restricted))
        .get("/api/calls")
        .await;
    answers(&list, 200, r#"{"calls":[],"count":0}"#);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_over_or_somebody_elses_is_not_found() {
    let app = TestApp::by_hand().await;
    let unknown = app
        .client
        .post_nothing(&end("00000000-0000-4000-8000-000000000000"))
        .await;
    answers(&unknown, 404, NOT_FOUND);
    for (id, status) in ended_calls(&app).await {
        let before = app.call(&id).await;
        let reply = new_client(&app).post_nothing(&end(&id)).await;
        answers(&reply, 404, NOT_FOUND);
        assert_eq!(app.call(&id).await, before, "{status}");
    }
    let id = app.place().await;
    let provider_id = sid(&app, &id).await;
    let stranger = app.client.with_token(Some(&app.stranger.token));
    let other_agent = Some(vec![app.stranger.agent_id]);
    let restricted = app
        .token(Environment::Live, Scope::VARIANTS, other_agent)
        .await;
    let restricted = app.client.with_token(Some(&restricted));
    for (client, name) in [
        (&stranger, id.as_str()),
        (&stranger, &provider_id),
        (&restricted, &id),
        (&restricted, &provider_id),
        (&app.client, "CA00000000000000000000000000000000"),
        (&app.client, "%00"),
        (&app.client, "a%20b"),
        (&app.client, "%22%7D"),
    ] {
        let reply = client.post_nothing(&end(name)).await;
        answers(&reply, 404, NOT_FOUND);
        assert_eq!(telling(&reply.headers), telling(&unknown.headers), "{name}");
    }
    assert_eq!(app.call(&id).await["end"], json!(null));
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_is_quoted() {
    let app = TestApp::by_hand().await;
    nobody_acts(&app).await;

    // Passing: the hang-up goes on by itself, and a second request joins it.
    let id = app.place().await;
    sid(&app, &id).await;
    let unable = json!({"code": 20404, "message": "Unable to fetch record", "status": 404});
    let respond = json!({"respond": {"status": 404, "body": unable}});
    app.fault("hangup", 1, &respond).await;
    let reply = app.client.post_nothing(&end(&id)).await;
    let retrying = r#"{"success":false,"error":"Twilio API error: Unable to fetch record","code":"HANGUP_RETRYING"}"#;
    answers(&reply, 502, retrying);
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(app.call(&id).await["end"]["state"], "requested");
    app.advance(1);
    assert_eq!(app.node.worker.run_due().await.expect("a round"), 1);
    let call = app.wait_for_status(&id, "canceled").await;
    assert_eq!(call["ended_at"], super::steps::START);

    // For good: the call stays live and listed, and the next wish asks again.
    let id = app.place().await;
    sid(&app, &id).await;
    let denied = json!({"code": 20003, "message": "Authenticate", "status": 401});
    app.fault(
        "hangup",
        1,
        &json!({"respond": {"status": 401, "body": denied}}),
    )
    .await;
    let reply = app.client.post_nothing(&end(&id)).await;
    answers(
        &reply,
        502,
        r#"{"success":false,"error":"Twilio API error: Authenticate"}"#,
    );
    assert_eq!(reply.header("retry-after"), None);
    assert_eq!(app.client.get("/api/calls").await.json()["count"], 1);
    answers(&app.client.post_nothing(&end(&id)).await, 200, &ended(&id));
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 2);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_at_the_same_time_share_the_success() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    let client = Arc::new(new_client(&app));
    let mut ends = JoinSet::new();
    for _ in 0..20 {
        let (client, path) = (Arc::clone(&client), end(&id));
        ends.spawn(async move { client.post_nothing(&path).await });
    }
    for reply in ends.join_all().await {
        answers(&reply, 200, &ended(&id));
    }
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_with_its_key_is_answered_as_the_first() {
    let app = TestApp::by_hand().await;
    nobody_acts(&app).await;
    let send = |path: String, body: Value| {
        let client = app.client.clone();
        async move {
            let headers = [
                ("content-type", "application/json"),
                ("idempotency-key", "once"),
            ];
            client
                .send(Method::POST, &path, &headers, &body.to_string())
                .await
        }
    };
    let call = json!({"to": "+15550101", "webhook_url": "https://example.com/a"});
    let made = send("/api/call".to_owned(), call.clone()).await;
    let id = id_in(&made);
    sid(&app, &id).await;
    let ended = send(end(&id), json!({})).await;
    assert_eq!(ended.status, 200, "{}", ended.text);
    app.advance(10);
    // Also when by now it could not be told any more which agent is meant.
    hire(&app).await;

    for (first, path, body) in [
        (made, "/api/call".to_owned(), call),
        (ended, end(&id), json!({})),
    ] {
        let again = send(path.clone(), body).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        let other = send(path, json!({"to": "+15550102"})).await;
        assert_eq!(
            (other.status, &other.json()["success"]),
            (422, &json!(false))
        );
    }
    assert_eq!(dialled(&app).await, 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_dialled_is_refused_before_anybody_hears_of_it() {
    let app = TestApp::by_hand().await;
    let missing = "Missing 'to' phone number";
    let number = "/to must be an E.164 phone number: '+', country code and number, 2 to 15 digits, for example +15550100123";
    let big = "x".repeat(65_536);
    for (body, status, error) in [
        (json!({}), 400, missing),
        (json!({"to": null}), 400, missing),
        (json!({"to": "", "prompt": "x"}), 400, missing),
        (json!({"to": "555"}), 422, number),
        (
            json!({"to": 7}),
            422,
            "/to invalid type: integer `7`, expected a string",
        ),
        (
            json!({"to": "+15550101", "metadata": {"prompt": "a"}, "prompt": "b"}),
            422,
            "/metadata/prompt is where prompt is kept; use another name within metadata",
        ),
        (
            json!({"to": "+15550101", "prompt": big}),
            422,
            "/metadata must be at most 64 KiB as JSON, with prompt and webhook_url",
        ),
    ] {
        let reply = make(&app.client, &body).await;
        let expected = json!({"success": false, "error": error});
        assert_eq!((reply.status, reply.json()), (status, expected));
    }
    let empty = app.client.post_nothing("/api/call").await;
    answers(
        &empty,
        400,
        &format!(r#"{{"success":false,"error":"{missing}"}}"#),
    );
    assert_eq!(dialled(&app).await, 0);

    let refusal = json!({"respond": {"status": 400, "body": {
        "code": 21211, "message": "Invalid 'To' Phone Number", "status": 400
    }}});
    app.fault("create", 1, &refusal).await;
    let reply = make(&app.client, &json!({"to": "+15550101"})).await;
    answers(
        &reply,
        502,
        r#"{"success":false,"error":"Failed to place call via twilio"}"#,
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_is_never_a_guess() {
    let app = TestApp::by_hand().await;
    let body = json!({"to": "+15550101", "metadata": {"prompt": "same"}, "prompt": "same"});
    let alone = make(&app.client, &body).await;
    let call = app.call(&id_in(&alone)).await;
    assert_eq!(call["agent_id"], json!(app.tenant.agent_id));
    assert_eq!(call["metadata"], json!({"prompt": "same"}));
    assert_eq!(alone.json()["webhook_url"], json!(null));

    hire(&app).await;
    let several = r#"{"success":false,"error":"Several agents could place this call: use a token for one of them, or POST /api/v1/agents/{agent_id}/call"}"#;
    answers(&make(&app.client, &body).await, 400, several);
    let colleague = COLLEAGUE.parse().expect("an id");
    let both = vec![app.tenant.agent_id, colleague];
    for (agents, answer) in [
        (vec![app.tenant.agent_id], Ok(())),
        (both.clone(), Err((400, several))),
        // It has no number of its own.
        (
            vec![colleague],
            Err((
                422,
                r#"{"success":false,"error":"/from must be a number of your organisation on the account to dial through; or assign a number to the agent"}"#,
            )),
        ),
        // Another organisation's.
        (
            vec![app.stranger.agent_id],
            Err((404, r#"{"success":false,"error":"There is no such agent"}"#)),
        ),
    ] {
        let token = app
            .token(Environment::Live, Scope::VARIANTS, Some(agents))
            .await;
        let reply = make(&app.client.with_token(Some(&token)), &body).await;
        match answer {
            Ok(()) => {
                let call = app.call(&id_in(&reply)).await;
                assert_eq!(call["agent_id"], json!(app.tenant.agent_id));
            }
            Err((status, text)) => answers(&reply, status, text),
        }
    }

    let mut owner = app.database.as_owner().await;
    let retire = format!("UPDATE agents SET published_at = NULL WHERE id = '{COLLEAGUE}'");
    owner
        .execute(sqlx::AssertSqlSafe(retire))
        .await
        .expect("an update");
    assert_eq!(make(&app.client, &body).await.status, 200);
    owner
        .execute("UPDATE agents SET published_at = NULL")
        .await
        .expect("an update");
    let none = r#"{"success":false,"error":"No agent can place this call: publish one"}"#;
    answers(&make(&app.client, &body).await, 400, none);
    app.stop().await;
}
