//! A provider that refuses, stalls, breaks off, forgets or promises and does not: ends are carried
//! out all the same or visibly not, and no phone rings twice.

use onhook::outbound::header_value;
use reqwest::Method;
use serde_json::{Value, json};

use super::books;
use crate::support::{
    app::{HELD, TestApp},
    client::Reply,
    wait::wait_for,
};

async fn terminate(app: &TestApp, id: &str) -> Reply {
    let path = format!("/api/v1/calls/{id}/terminate");
    app.client.post_nothing(&path).await
}

/// Runs every job that is due at the clock's instant; how many there were.
async fn run_due(app: &TestApp) -> usize {
    app.node.worker.run_due().await.unwrap()
}

/// An answered call whose provider sends no callbacks from now on.
async fn answered_without_callbacks(app: &TestApp) -> String {
    let id = app.place_answered().await;
    no_callbacks(app).await;
    id
}

async fn no_callbacks(app: &TestApp) {
    app.fault("callback", 0, &json!({"drop": true})).await;
}

fn assert_retrying(reply: &Reply) {
    assert_eq!(reply.status, 500, "{}", reply.text);
    assert_eq!(
        reply.json(),
        json!({"detail": "Failed to terminate call via twilio", "code": "HANGUP_RETRYING"})
    );
    assert!(reply.header("retry-after").is_some());
}

async fn outcomes(app: &TestApp, id: &str) -> Vec<String> {
    let attempts = books::hang_ups(app, id).await;
    attempts
        .into_iter()
        .map(|attempt| attempt.outcome)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_that_fails_twice_is_asked_again_until_it_succeeds() {
    let app = TestApp::by_hand().await;
    let id = answered_without_callbacks(&app).await;
    app.fault("hangup", 2, &json!({"respond": {"status": 500}}))
        .await;

    assert_retrying(&terminate(&app, &id).await);
    let wish = app.call(&id).await;
    assert_eq!(wish["end"]["state"], "requested");
    assert_eq!(wish["status"], "in-progress");
    assert_eq!(run_due(&app).await, 0, "not before its time");
    app.advance(1);
    assert_eq!(run_due(&app).await, 1);
    assert_eq!(app.call(&id).await["status"], "in-progress");
    app.advance(1);
    assert_eq!(run_due(&app).await, 1);

    let call = app.call(&id).await;
    assert_eq!(call["status"], "completed");
    assert_eq!(call["ended_at"], wish["end"]["requested_at"]);
    assert_eq!(call["end"]["attempts"], 3);
    assert_eq!(outcomes(&app, &id).await, ["retry", "retry", "ended"]);
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 3);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_asks_for_patience_is_not_asked_before() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    let busy = json!({"respond": {"status": 429, "headers": {"Retry-After": "7"}}});
    app.fault("hangup", 1, &busy).await;

    let reply = terminate(&app, &id).await;
    assert_retrying(&reply);
    assert_eq!(reply.header("retry-after"), Some("7"));
    app.advance(6);
    assert_eq!(run_due(&app).await, 0);
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 1);
    app.advance(1);
    assert_eq!(run_due(&app).await, 1);

    assert_eq!(app.call(&id).await["status"], "completed");
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 2);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_before_the_provider_acts_is_asked_again() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    app.fault("hangup", 1, &json!({"reset": "before"})).await;

    assert_retrying(&terminate(&app, &id).await);
    assert_eq!(app.at_provider(&id).await["state"], "in-progress");
    app.advance(1);
    assert_eq!(run_due(&app).await, 1);

    assert_eq!(app.call(&id).await["status"], "completed");
    assert_eq!(app.at_provider(&id).await["hangups_carried_out"], 1);
    assert_eq!(outcomes(&app, &id).await, ["retry", "ended"]);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_after_the_provider_acted_is_neither_success_nor_failure() {
    let app = TestApp::by_hand().await;
    let id = answered_without_callbacks(&app).await;
    app.fault("hangup", 1, &json!({"reset": "after"})).await;

    assert_retrying(&terminate(&app, &id).await);
    assert_eq!(app.at_provider(&id).await["state"], "completed");
    let unknown = app.call(&id).await;
    assert_eq!(unknown["status"], "in-progress", "no evidence yet");
    app.advance(1);
    assert_eq!(run_due(&app).await, 1);

    let call = app.call(&id).await;
    assert_eq!(call["status"], "completed");
    assert_eq!(call["ended_at"], unknown["end"]["requested_at"]);
    assert_eq!(call["end"]["confirmed_by"], "fetch");
    let attempts = books::hang_ups(&app, &id).await;
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[1].provider_code.as_deref(), Some("21220"));
    assert_eq!(app.at_provider(&id).await["hangups_carried_out"], 1);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn already_over_at_the_provider_is_success_even_when_it_can_not_be_read() {
    let app = TestApp::by_hand().await;
    let id = answered_without_callbacks(&app).await;
    assert_eq!(books::party(&app, &id, "hangup").await, 200);
    app.fault("fetch", 0, &json!({"respond": {"status": 500}}))
        .await;

    let reply = terminate(&app, &id).await;

    assert_eq!(reply.status, 200, "{}", reply.text);
    let call = app.call(&id).await;
    assert_eq!(call["status"], "completed");
    assert_eq!(call["end"]["confirmed_by"], "hang_up_answer");
    let recorded = |outcomes: &Vec<String>| *outcomes == ["already_over"];
    wait_for("the answer", || outcomes(&app, &id), recorded).await;
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

/// Deletes the provider's record of the call, as its customer may; the call itself goes on.
async fn delete_record(app: &TestApp, id: &str) {
    let call = app.call(id).await;
    let sid = call["call_sid"].as_str().unwrap();
    let account = &app.tenant.account_sid;
    let path = format!("/twilio/2010-04-01/Accounts/{account}/Calls/{sid}.json");
    let secret = format!("{account}:{}", app.tenant.auth_token);
    let basic = format!("Basic {}", base64(&secret));
    assert!(header_value(&basic).is_some());
    let headers = [("authorization", basic.as_str())];
    let reply = app.sim.send(Method::DELETE, &path, &headers, "").await;
    assert_eq!(reply.status, 204, "{}", reply.text);
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}

/// Every route says that the provider refuses, and the call is live for everybody to see; so many
/// jobs go on.
async fn assert_failed_and_live(app: &TestApp, id: &str, jobs: usize) {
    let call = app.call(id).await;
    assert_eq!(call["status"], "in-progress");
    assert_eq!(call["ended_at"], Value::Null);
    assert_eq!(call["end"]["state"], "failed");
    let ongoing = app.client.get("/api/v1/calls?status=ongoing").await.json();
    assert_eq!(ongoing["items"][0]["id"], id);
    let story = books::story(app, id).await;
    assert_eq!(story.last().map(String::as_str), Some("error"), "{story:?}");
    let facts = books::facts(app, id).await;
    assert_eq!(facts.last().unwrap().data["error"]["code"], "HANGUP_FAILED");
    assert_eq!(books::jobs(app, id).await.len(), jobs);
    assert!(books::usage(app, id).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_provider_does_not_know_fails_the_wish_and_stays_live() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    delete_record(&app, &id).await;

    let reply = terminate(&app, &id).await;
    assert_eq!(reply.status, 500);
    let detail = json!({"detail": "Failed to terminate call via twilio"});
    assert_eq!(reply.json(), detail);
    assert_failed_and_live(&app, &id, 0).await;

    let agent = format!("/api/v1/agents/{}/end-call", app.tenant.agent_id);
    let reply = app.client.post(&agent, &json!({"call_sid": id})).await;
    assert_eq!(reply.status, 502, "{}", reply.text);
    assert_eq!(reply.json()["code"], "PROVIDER_ERROR");
    let canonical = format!("/api/v1/calls/{id}/end");
    let reply = app.client.post_nothing(&canonical).await;
    assert_eq!(reply.status, 502, "{}", reply.text);
    assert_eq!(reply.json()["code"], "PROVIDER_ERROR");
    assert_failed_and_live(&app, &id, 0).await;
    assert_eq!(outcomes(&app, &id).await, ["not_found"; 3]);

    // The call was never over; its own end is seen and bills no longer than the first wish.
    let first_wish = app.call(&id).await["end"]["requested_at"].clone();
    app.advance(30);
    assert_eq!(books::party(&app, &id, "hangup").await, 200);
    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["ended_at"], first_wish);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_fail_the_wish_and_the_next_wish_succeeds_with_good_ones() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    set_secret(&app, "another").await;

    let reply = terminate(&app, &id).await;
    assert_eq!(reply.status, 500, "{}", reply.text);
    assert_eq!(reply.header("retry-after"), None);
    assert_failed_and_live(&app, &id, 1).await;
    assert_eq!(
        books::hang_ups(&app, &id).await[0].provider_status,
        Some(401)
    );
    let first_wish = app.call(&id).await["end"]["requested_at"].clone();

    set_secret(&app, &app.tenant.auth_token).await;
    app.advance(60);
    let reply = terminate(&app, &id).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(app.call(&id).await["ended_at"], first_wish);
    let both = |outcomes: &Vec<String>| *outcomes == ["refused", "ended"];
    wait_for("both answers", || outcomes(&app, &id), both).await;
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

/// What the provider takes for the tenant's account from now on.
pub async fn set_secret(app: &TestApp, secret: &str) {
    let account = json!({
        "provider": "twilio", "external_id": app.tenant.account_sid, "secret": secret,
    });
    let reply = app.sim.post("/_sim/accounts", &account).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_thinks_beyond_the_deadline_is_asked_again() {
    let app = TestApp::by_hand().await;
    let id = answered_without_callbacks(&app).await;
    app.fault("hangup", 1, &json!({"delay_ms": HELD})).await;

    assert_retrying(&terminate(&app, &id).await);
    assert_eq!(app.at_provider(&id).await["state"], "in-progress");
    app.advance(1);
    assert_eq!(run_due(&app).await, 1);

    assert_eq!(app.call(&id).await["status"], "completed");
    assert_eq!(app.at_provider(&id).await["hangups_carried_out"], 1);
    assert_eq!(outcomes(&app, &id).await, ["retry", "ended"]);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_hang_up_without_evidence_is_never_called_over() {
    let app = TestApp::by_hand().await;
    books::script(
        &app,
        &json!({"hangup_answer": "in-progress", "hangup_after_ms": 3_600_000}),
    )
    .await;
    let id = answered_without_callbacks(&app).await;

    let reply = terminate(&app, &id).await;
    assert_eq!(reply.status, 200, "accepted: {}", reply.text);
    let accepted = app.call(&id).await;
    assert_eq!(accepted["status"], "in-progress");
    assert_eq!(accepted["end"]["state"], "accepted");

    app.advance(29);
    assert_eq!(run_due(&app).await, 0);
    app.advance(1);
    assert_eq!(run_due(&app).await, 1);
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 2);
    assert_eq!(books::stats(&app).await["fetches"], 1, "read before asked");
    for _ in 0..8 {
        app.advance(30);
        assert_eq!(run_due(&app).await, 1);
        assert_eq!(app.call(&id).await["end"]["state"], "accepted");
    }
    app.advance(30);
    assert_eq!(run_due(&app).await, 1);
    assert_eq!(app.call(&id).await["end"]["state"], "unconfirmed");
    assert_eq!(app.call(&id).await["status"], "in-progress");

    for _ in 0..10 {
        app.advance(60);
        assert_eq!(run_due(&app).await, 1, "the hang-up goes on");
    }
    let story = books::story(&app, &id).await;
    assert_eq!(story.iter().filter(|fact| *fact == "error").count(), 1);

    assert_eq!(books::party(&app, &id, "hangup").await, 200);
    app.advance(60);
    assert_eq!(run_due(&app).await, 1);
    let call = app.call(&id).await;
    assert_eq!(call["status"], "completed");
    assert_eq!(call["end"]["state"], "confirmed");
    assert_eq!(call["ended_at"], accepted["end"]["requested_at"]);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_callback_completes_an_unconfirmed_end() {
    let app = TestApp::by_hand().await;
    books::script(
        &app,
        &json!({"hangup_answer": "in-progress", "hangup_after_ms": 3_600_000}),
    )
    .await;
    let id = app.place_answered().await;
    assert_eq!(terminate(&app, &id).await.status, 200);
    app.advance(301);
    assert_eq!(run_due(&app).await, 1);
    assert_eq!(app.call(&id).await["end"]["state"], "unconfirmed");

    assert_eq!(books::party(&app, &id, "hangup").await, 200);
    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["end"]["confirmed_by"], "callback");
    assert_eq!(call["ended_at"], call["end"]["requested_at"]);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

/// A lost dial is looked for a second after its answer was lost.
async fn look_for_the_dial(app: &TestApp) {
    app.advance(1);
    assert_eq!(run_due(app).await, 1);
}

/// Waits until the first attempt to dial has been recorded.
async fn dial_recorded(app: &TestApp, id: &str) {
    let released = |jobs: &Vec<books::JobRow>| jobs.iter().all(|job| job.lease.is_none());
    wait_for("the dial's record", || books::jobs(app, id), released).await;
}

async fn assert_found_after_one_create(app: &TestApp, id: &str) {
    dial_recorded(app, id).await;
    let call = app.call(id).await;
    assert_eq!(
        (&call["status"], &call["call_sid"]),
        (&json!("initiating"), &json!(id))
    );
    look_for_the_dial(app).await;

    let calls = books::provider_calls(app).await;
    assert_eq!(calls.len(), 1, "{calls:#?}");
    assert_eq!(app.call(id).await["call_sid"], calls[0]["id"]);
    assert_eq!(calls[0]["create_requests"], 1);
    assert!(books::jobs(app, id).await.is_empty());
    assert_eq!(terminate(app, id).await.status, 200);
    books::assert_ended_once(app, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_was_carried_out_behind_an_error_is_found_and_not_repeated() {
    let app = TestApp::by_hand().await;
    no_callbacks(&app).await;
    let fault = json!({"respond": {"status": 500}, "when": "after"});
    app.fault("create", 1, &fault).await;
    let id = app.place().await;

    assert_found_after_one_create(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_whose_connection_broke_after_it_was_carried_out_is_found_and_not_repeated() {
    let app = TestApp::by_hand().await;
    no_callbacks(&app).await;
    app.fault("create", 1, &json!({"reset": "after"})).await;
    let id = app.place().await;

    assert_found_after_one_create(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_is_nowhere_to_be_found_is_given_up_after_a_minute_and_not_repeated() {
    let app = TestApp::by_hand().await;
    app.fault("create", 1, &json!({"respond": {"status": 500}}))
        .await;
    let id = app.place().await;
    dial_recorded(&app, &id).await;

    look_for_the_dial(&app).await;
    for _ in 0..11 {
        assert_eq!(app.call(&id).await["status"], "initiating");
        app.advance(5);
        assert_eq!(run_due(&app).await, 1);
    }
    app.advance(5);
    assert_eq!(run_due(&app).await, 1);

    let call = app.call(&id).await;
    assert_eq!(call["status"], "failed");
    assert_eq!(call["ended_reason"], "platform_error");
    assert_eq!(
        books::story(&app, &id).await,
        ["started", "error", "ended", "did_not_connect"]
    );
    assert_eq!(books::stats(&app).await["creates"], 1);
    assert!(books::provider_calls(&app).await.is_empty());
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_the_provider_puts_off_is_asked_again_and_placed_once() {
    let app = TestApp::by_hand().await;
    let busy = json!({"respond": {"status": 429, "headers": {"Retry-After": "3"}}});
    app.fault("create", 1, &busy).await;
    let id = app.place().await;
    dial_recorded(&app, &id).await;

    app.advance(2);
    assert_eq!(run_due(&app).await, 0);
    app.advance(1);
    assert_eq!(run_due(&app).await, 1);

    app.wait_for_status(&id, "in-progress").await;
    assert_eq!(books::provider_calls(&app).await.len(), 1);
    assert_eq!(books::stats(&app).await["creates"], 2);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_can_not_be_reached_fails_the_dial_after_four_attempts() {
    let app = TestApp::by_hand().await;
    // A port of which nobody else can have taken hold: ours, and nobody accepts there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let statement = "UPDATE provider_accounts SET api_base_url = $1 WHERE id = $2 RETURNING 1";
    let changed: i32 = sqlx::query_scalar(statement)
        .bind(format!("http://127.0.0.1:{port}"))
        .bind(app.tenant.account_id.0)
        .fetch_one(&mut app.database.as_owner().await)
        .await
        .unwrap();
    assert_eq!(changed, 1);
    let id = app.place().await;
    dial_recorded(&app, &id).await;

    for _ in 0..2 {
        app.advance(2);
        assert_eq!(run_due(&app).await, 1);
        assert_eq!(app.call(&id).await["status"], "initiating");
    }
    app.advance(2);
    assert_eq!(run_due(&app).await, 1);

    let call = app.call(&id).await;
    assert_eq!(call["status"], "failed");
    assert_eq!(call["ended_reason"], "provider_error");
    assert_eq!(books::stats(&app).await["creates"], 0);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_the_provider_refuses_fails_the_call_with_its_reason() {
    let app = TestApp::by_hand().await;
    let message = "The 'To' number +15550101 is not a valid phone number.";
    let body = json!({"code": 21211, "message": message, "status": 400});
    let refused = json!({"respond": {"status": 400, "body": body}});
    app.fault("create", 1, &refused).await;
    let id = app.place().await;

    let call = app.wait_for_status(&id, "failed").await;

    assert_eq!(call["ended_reason"], "invalid_destination");
    assert_eq!(call["end"]["side"], "provider");
    assert_eq!(
        books::story(&app, &id).await,
        ["started", "error", "ended", "did_not_connect"]
    );
    assert_eq!(books::usage(&app, &id).await, [(0, 0)]);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_to_end_a_lost_dial_is_carried_out_when_the_call_is_found() {
    let app = TestApp::by_hand().await;
    no_callbacks(&app).await;
    app.fault("create", 1, &json!({"reset": "after"})).await;
    let id = app.place().await;
    dial_recorded(&app, &id).await;
    let canonical = format!("/api/v1/calls/{id}/end");
    let nobody_waits = [("prefer", "wait=0")];
    let reply = app
        .client
        .send(Method::POST, &canonical, &nobody_waits, "")
        .await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    let wished_at = reply.json()["end"]["requested_at"].clone();

    look_for_the_dial(&app).await;

    let over = |call: &Value| !call["ended_at"].is_null();
    let call = wait_for("the end", || app.call(&id), over).await;
    assert_eq!(call["ended_at"], wished_at);
    assert_eq!(call["ended_reason"], "ended_by_api");
    let there = app.at_provider(&id).await;
    assert_eq!(there["hangups_carried_out"], 1);
    assert_eq!(there["create_requests"], 1);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}
