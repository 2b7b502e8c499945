//! `POST /api/v1/calls/{id}/end` and the receipt of it.

use onhook::domain::token::{Environment, Scope};
use reqwest::Method;
use serde_json::{Value, json};

use super::steps::{START, far_end, is_refused, new_client, nobody_acts, script, sid};
use crate::support::{app::TestApp, client::Reply, wait::wait_for};

async fn end(app: &TestApp, id: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let path = format!("/api/v1/calls/{id}/end");
    let body = body.to_string();
    new_client(app)
        .send(Method::POST, &path, headers, &body)
        .await
}

async fn receipt(app: &TestApp, id: &str) -> Reply {
    app.client.get(&format!("/api/v1/calls/{id}/end")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_final_with_evidence_and_stays_what_it_was() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    let none = receipt(&app, &id).await;
    assert_eq!(
        (none.status, &none.json()["code"]),
        (404, &json!("CALL_NOT_FOUND"))
    );
    app.advance(61);
    let body = json!({"reason": "ended_by_operator", "note": "the customer asked"});

    let ended = end(&app, &id, &[], &body).await;

    assert_eq!(ended.status, 200, "{}", ended.text);
    assert_eq!(ended.header("location"), None);
    let (at, token) = ("2026-11-21T09:31:01.000Z", "token:");
    let json = ended.json();
    let initiator = json["end"]["initiator"].as_str().expect("an initiator");
    assert!(initiator.starts_with(token), "{initiator}");
    assert_eq!(
        json,
        json!({
            "call_id": id, "outcome": "ended", "status": "completed", "ended_at": at,
            "ended_reason": "ended_by_operator",
            "end": {
                "state": "confirmed", "requested_at": at, "reason": "ended_by_operator",
                "initiator": initiator, "note": "the customer asked", "side": "local",
                "attempts": json["end"]["attempts"], "confirmed_by": json["end"]["confirmed_by"],
                "confirmed_at": at, "provider_cause": json["end"]["provider_cause"],
            },
            "latency_milliseconds": 0,
        })
    );
    let call = app.call(&id).await;
    assert_eq!(call["duration_seconds"], 61);
    assert_eq!(call["cost"]["billed_seconds"], 120);
    assert_eq!(call["cost"]["amount_micros"], 28_000);
    // A report may prove the end before the attempt's own answer is recorded.
    let shown = wait_for(
        "the attempt",
        || async { receipt(&app, &id).await.json() },
        |receipt| receipt["attempts"] != json!([]),
    )
    .await;
    let attempts = shown["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 1, "{shown}");
    let attempt = &attempts[0];
    assert_eq!(
        (&attempt["outcome"], &attempt["provider_status"]),
        (&json!("ended"), &json!(200))
    );
    assert_eq!(
        (&attempt["started_at"], &attempt["finished_at"]),
        (&json!(at), &json!(at))
    );

    // Again, later, with another reason: what was is told.
    app.advance(1);
    let again = end(&app, &id, &[], &json!({"reason": "agent_hangup"})).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.json()["outcome"], "already_ended");
    assert_eq!(again.json()["ended_at"], at);
    assert_eq!(again.json()["ended_reason"], "ended_by_operator");
    assert_eq!(app.call(&id).await, call);
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_without_evidence_yet_is_under_way() {
    let app = TestApp::by_hand().await;
    script(
        &app,
        &json!({"hangup_answer": "in-progress", "hangup_after_ms": 600_000}),
    )
    .await;
    let id = app.place_answered().await;

    let accepted = end(
        &app,
        &id,
        &[("prefer", "respond-async, wait=0")],
        &json!({}),
    )
    .await;

    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let location = format!("/api/v1/calls/{id}/end");
    assert_eq!(accepted.header("location"), Some(location.as_str()));
    let shown = accepted.json();
    assert_eq!(
        (&shown["outcome"], &shown["status"]),
        (&json!("ending"), &json!("in-progress"))
    );
    assert_eq!(shown["end"]["requested_at"], START);
    assert_eq!(
        (&shown["ended_at"], &shown["latency_milliseconds"]),
        (&json!(null), &json!(null))
    );
    let accepted = wait_for(
        "the provider's answer",
        || async { receipt(&app, &id).await.json() },
        |receipt| receipt["attempts"][0]["outcome"] == "accepted",
    )
    .await;
    assert_eq!(accepted["end"]["reason"], "ended_by_api");
    // A wish that is under way is joined, and waits as long as it was asked to.
    let joined = end(&app, &id, &[("prefer", "wait=1")], &json!({})).await;
    assert_eq!(
        (joined.status, &joined.json()["end"]["state"]),
        (202, &json!("accepted"))
    );

    // The far end hangs up meanwhile: that is the evidence.
    far_end(&app, &id, "hangup").await;
    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["end"]["confirmed_by"], "callback");
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_natural_end_is_already_ended() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    far_end(&app, &id, "hangup").await;
    let over = app.wait_for_status(&id, "completed").await;
    app.advance(1);

    let ended = end(&app, &id, &[], &json!({})).await;

    assert_eq!(
        (ended.status, &ended.json()["outcome"]),
        (200, &json!("already_ended"))
    );
    assert_eq!(ended.json()["ended_reason"], "remote_hangup");
    assert_eq!(ended.json()["end"]["initiator"], json!(null));
    assert_eq!(app.call(&id).await, over);
    let receipt = receipt(&app, &id).await;
    assert_eq!(
        (receipt.status, &receipt.json()["attempts"]),
        (200, &json!([]))
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_ended_as_asked_stays_as_it_is() {
    let app = TestApp::by_hand().await;
    nobody_acts(&app).await;
    let id = app.place().await;
    sid(&app, &id).await;
    far_end(&app, &id, "answer").await;
    let live = app.wait_for_status(&id, "in-progress").await;
    for body in [
        json!({"if_status": "ringing"}),
        json!({"if_status": ["ringing", "initiating"]}),
    ] {
        let reply = end(&app, &id, &[], &body).await;
        is_refused(&reply, 409, "CALL_STATUS_MISMATCH");
    }
    for body in [
        json!({"if_status": "in progress"}),
        json!({"reason": "remote_hangup"}),
        json!({"reason": "canceled_by_api"}),
        json!({"reason": "because"}),
        json!({"note": "ä".repeat(1001)}),
        json!({"reasons": "ended_by_api"}),
        json!([null, null, []]),
    ] {
        is_refused(&end(&app, &id, &[], &body).await, 422, "VALIDATION_FAILED");
    }
    for wait in ["wait=31", "wait=soon", "wait=-1"] {
        let reply = end(&app, &id, &[("prefer", wait)], &json!({})).await;
        is_refused(&reply, 422, "VALIDATION_FAILED");
    }
    let other_agent = Some(vec![app.stranger.agent_id]);
    let restricted = app
        .token(Environment::Live, &[Scope::CallsEnd], other_agent)
        .await;
    for token in [&app.stranger.token, &restricted] {
        let client = app.client.with_token(Some(token));
        let reply = client
            .post_nothing(&format!("/api/v1/calls/{id}/end"))
            .await;
        is_refused(&reply, 404, "CALL_NOT_FOUND");
    }
    assert_eq!(app.call(&id).await, live);
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_the_provider_refuses_leaves_the_call_live_and_visible() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    app.fault("hangup", 1, &json!({"respond": {"status": 401}}))
        .await;
    let refused = end(&app, &id, &[], &json!({"if_status": "in-progress"})).await;
    is_refused(&refused, 502, "PROVIDER_ERROR");
    let shown = receipt(&app, &id).await.json();
    assert_eq!(
        (&shown["outcome"], &shown["end"]["state"]),
        (&json!("ending"), &json!("failed"))
    );
    assert_eq!(shown["attempts"][0]["outcome"], "refused");
    assert_eq!(shown["attempts"][0]["provider_status"], 401);
    assert_eq!(app.call(&id).await["status"], "in-progress");
    let body = json!({"if_status": ["in-progress", "ringing"]});
    let ended = end(&app, &id, &[], &body).await;
    assert_eq!(
        (ended.status, &ended.json()["outcome"]),
        (200, &json!("ended"))
    );
    app.stop().await;
}
