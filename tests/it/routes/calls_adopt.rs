//! `POST /api/v1/calls/adopt`: takes over a call that other software placed.

use onhook::domain::token::{Environment, Scope};
use serde_json::{Value, json};
use strum::VariantArray as _;

use super::steps::{far_end, is_refused, nobody_acts};
use crate::{
    flows::books,
    support::{
        app::{HELD, TestApp},
        client::Reply,
        elsewhere::{Second, at_provider, dial_elsewhere},
        wait::wait_for,
    },
};

const ROUTE: &str = "/api/v1/calls/adopt";

fn first(app: &TestApp, name: &str) -> Value {
    json!({
        "agent_id": app.tenant.agent_id, "provider_account_id": app.tenant.account_id,
        "provider_call_id": name,
    })
}

async fn adopt(app: &TestApp, name: &str) -> Reply {
    app.client.post(ROUTE, &first(app, name)).await
}

/// Placed by other software, and as far as these acts of the far end bring it.
async fn elsewhere(app: &TestApp, ringing: bool, acts: &[&str]) -> String {
    let ring_after = if ringing { json!(0) } else { Value::Null };
    let pace = json!({"ring_after_ms": ring_after, "answer_after_ms": null});
    books::script(app, &pace).await;
    let name = dial_elsewhere(app).await;
    if ringing {
        let rings = |there: &Value| there["state"] == "ringing";
        wait_for("ringing", || at_provider(app, &name), rings).await;
    }
    for act in acts {
        let path = format!("/_sim/calls/{name}/{act}");
        assert_eq!(app.sim.post_nothing(&path).await.status, 200);
    }
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_call_is_as_far_as_it_is_and_is_ended_as_any_other() {
    let app = TestApp::by_hand().await;
    let name = elsewhere(&app, true, &["answer"]).await;
    app.advance(30);

    let reply = adopt(&app, &name).await;

    assert_eq!(reply.status, 201, "{}", reply.text);
    let call = reply.json();
    let id = call["id"].as_str().unwrap().to_owned();
    assert_eq!(
        reply.header("location"),
        Some(&*format!("/api/v1/calls/{id}"))
    );
    assert_eq!(call["call_sid"], json!(name));
    assert_eq!(call["status"], "in-progress");
    assert_eq!(call["direction"], "outbound");
    assert_eq!(
        (&call["from"], &call["to"]),
        (&json!("+15550100"), &json!("+15550142"))
    );
    assert_eq!(call["answered_at"], call["created_at"]);
    assert_eq!(books::story(&app, &id).await, ["started", "connected"]);
    assert_eq!(app.call(&id).await, call);

    app.advance(12);
    let path = format!("/api/v1/calls/{name}/terminate");
    assert_eq!(app.client.post_nothing(&path).await.status, 200);
    let call = app.call(&id).await;
    assert_eq!(call["status"], "completed");
    assert_eq!(call["ended_reason"], "ended_by_api");
    assert_eq!(
        call["cost"]["billable_milliseconds"], 12_000,
        "from the adoption"
    );
    assert_eq!(at_provider(&app, &name).await["hangups_carried_out"], 1);
    books::assert_ended_once(&app, &id).await;
    let audited: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM audit_entries WHERE action = 'call.adopt' AND subject = $1
            AND actor LIKE 'token:%' AND detail->'after'->>'provider_call_id' = $2",
    )
    .bind(&id)
    .bind(&name)
    .fetch_one(&mut app.database.as_owner().await)
    .await
    .unwrap();
    assert_eq!(audited, 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_an_adopted_call_is_learnt_without_its_callbacks() {
    let app = TestApp::by_hand().await;
    for (ringing, status, story) in [
        (false, "initiating", &["started"][..]),
        (true, "ringing", &["started", "ringing"][..]),
    ] {
        let name = elsewhere(&app, ringing, &[]).await;
        let call = adopt(&app, &name).await.json();
        assert_eq!(call["status"], status, "{call:#}");
        let id = call["id"].as_str().unwrap();
        assert_eq!(books::story(&app, id).await, story);
        if ringing {
            far_end(&app, id, "no-answer").await;
            app.advance(60);
            app.node.worker.hunt_orphans().await.unwrap();

            let call = app.call(id).await;
            assert_eq!(call["status"], "no-answer");
            assert_eq!(call["ended_reason"], "reconciled_gone");
            assert_eq!(call["cost"]["amount_micros"], 0);
            books::assert_ended_once(&app, id).await;
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_call_is_answered_as_it_is_and_a_key_is_honoured() {
    let app = TestApp::by_hand().await;
    let name = elsewhere(&app, true, &["answer"]).await;
    let headers = [
        ("idempotency-key", "adopt-1"),
        ("content-type", "application/json"),
    ];
    let body = first(&app, &name).to_string();
    let send = || async {
        let method = reqwest::Method::POST;
        app.client.send(method, ROUTE, &headers, &body).await
    };
    let reply = send().await;
    assert_eq!(reply.status, 201, "{}", reply.text);

    let again = send().await;
    assert_eq!((again.status, &again.text), (201, &reply.text));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let without = adopt(&app, &name).await;
    assert_eq!((without.status, without.json()), (200, reply.json()));
    let (one, two) = tokio::join!(adopt(&app, &name), adopt(&app, &name));
    assert_eq!((one.status, two.status), (200, 200));
    let own = app.place().await;
    let own = app.wait_for_status(&own, "ringing").await;
    let known = adopt(&app, own["call_sid"].as_str().unwrap()).await;
    assert_eq!((known.status, known.json()), (200, own));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_at_once_make_one_call() {
    let app = TestApp::by_hand().await;
    let name = elsewhere(&app, true, &["answer"]).await;
    app.fault("fetch", 4, &json!({"delay_ms": HELD})).await;

    let (a, b, c, d, ()) = tokio::join!(
        adopt(&app, &name),
        adopt(&app, &name),
        adopt(&app, &name),
        adopt(&app, &name),
        async {
            let all = |stats: &Value| stats["fetches"] == 4;
            wait_for("every question", || books::stats(&app), all).await;
            app.release().await;
        }
    );

    let replies = [a, b, c, d];
    let mut statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 201]);
    for reply in &replies {
        assert_eq!(reply.json(), replies[0].json());
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_adopted_says_why() {
    let app = TestApp::by_hand().await;
    let over = elsewhere(&app, true, &["answer", "hangup"]).await;
    let live = elsewhere(&app, true, &["answer"]).await;
    is_refused(&adopt(&app, &over).await, 409, "CALL_STATUS_MISMATCH");
    let nobodys = "CA0f0e0d0c0b0a09080706050403020100";
    is_refused(&adopt(&app, nobodys).await, 404, "CALL_NOT_FOUND");
    is_refused(&adopt(&app, "../x").await, 404, "CALL_NOT_FOUND");
    is_refused(&adopt(&app, "").await, 422, "VALIDATION_FAILED");

    // Another account's: the stranger cannot reach it with its own credentials.
    let stranger = app.client.with_token(Some(&app.stranger.token));
    let mut theirs = json!({
        "agent_id": app.stranger.agent_id, "provider_account_id": app.stranger.account_id,
        "provider_call_id": live,
    });
    is_refused(&stranger.post(ROUTE, &theirs).await, 404, "CALL_NOT_FOUND");
    theirs["provider_account_id"] = json!(app.tenant.account_id);
    let reply = stranger.post(ROUTE, &theirs).await;
    is_refused(&reply, 404, "PROVIDER_ACCOUNT_NOT_FOUND");
    let mut agent = first(&app, &live);
    agent["agent_id"] = json!(app.stranger.agent_id);
    let reply = app.client.post(ROUTE, &agent).await;
    is_refused(&reply, 404, "AGENT_NOT_FOUND");

    for (status, code) in [(401, "PROVIDER_ERROR"), (500, "PROVIDER_UNAVAILABLE")] {
        app.fault("fetch", 1, &json!({"respond": {"status": status}}))
            .await;
        let answered = if status == 401 { 502 } else { 503 };
        is_refused(&adopt(&app, &live).await, answered, code);
    }
    app.fault("fetch", 1, &json!({"delay_ms": HELD})).await;
    let slow = adopt(&app, &live).await;
    is_refused(&slow, 503, "PROVIDER_UNAVAILABLE");
    assert!(slow.header("retry-after").is_some());
    let all = app.client.get("/api/v1/calls").await.json();
    assert_eq!(all["items"], json!([]), "nothing was recorded");
    assert_eq!(at_provider(&app, &live).await["hangup_requests"], 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_tells_little_is_helped_out() {
    let app = TestApp::by_hand().await;
    let second = Second::connect(&app).await;
    nobody_acts(&app).await;
    let name = second.dial_elsewhere(&app, None).await;
    let answer = format!("/_sim/calls/{name}/answer");
    assert_eq!(app.sim.post_nothing(&answer).await.status, 200);
    let mut body = first(&app, &name);
    body["provider_account_id"] = json!(second.account_id);
    body["to"] = json!("+15550142");

    let refused = app.client.post(ROUTE, &body).await;
    is_refused(&refused, 422, "VALIDATION_FAILED");
    let errors = refused.json()["errors"].clone();
    assert_eq!(errors.as_array().unwrap().len(), 2, "{errors}");
    assert_eq!(errors[0]["pointer"], "/from");
    assert_eq!(errors[1]["pointer"], "/direction");

    body["from"] = json!("+15550110");
    body["direction"] = json!("outbound");
    let reply = app.client.post(ROUTE, &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let call = reply.json();
    // That it lives is all that is told: its maximum duration must hold.
    assert_eq!(call["status"], "in-progress");
    let id = call["id"].as_str().unwrap();
    assert!(books::jobs(&app, id).await.is_empty(), "it is told nothing");
    app.advance(3601);
    app.node.worker.reconcile().await.unwrap();
    let asked = |there: &Value| there["hangups_carried_out"] == 1;
    wait_for("the hang-up", || at_provider(&app, &name), asked).await;
    let accepted = |call: &Value| call["end"]["state"] == "accepted";
    wait_for("its answer", || app.call(id), accepted).await;
    // Nobody reports on it: it is read.
    app.advance(30);
    app.node.worker.run_due().await.unwrap();
    let call = app.call(id).await;
    assert_eq!(call["status"], "completed", "{call:#}");
    assert_eq!(call["ended_reason"], "max_duration");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_or_test_token_adopts_within_its_bounds() {
    let app = TestApp::by_hand().await;
    let name = elsewhere(&app, true, &["answer"]).await;
    let nothing = Some(vec![app.stranger.agent_id]);
    let restricted = app.token(Environment::Live, Scope::VARIANTS, nothing).await;
    let restricted = app.client.with_token(Some(&restricted));
    let reply = restricted.post(ROUTE, &first(&app, &name)).await;
    is_refused(&reply, 404, "AGENT_NOT_FOUND");

    let test = app.token(Environment::Test, Scope::VARIANTS, None).await;
    let test = app.client.with_token(Some(&test));
    let reply = test.post(ROUTE, &first(&app, &name)).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/calls/{id}/terminate");
    assert_eq!(app.client.post_nothing(&path).await.status, 200);
    assert!(books::usage(&app, &id).await.is_empty(), "never billed");
    app.stop().await;
}
