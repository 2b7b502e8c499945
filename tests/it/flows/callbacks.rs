//! What providers report, and how: lost, doubled, out of order, late, forged, replayed; and how a
//! call ends by itself.

use reqwest::Method;
use serde_json::{Value, json};

use super::books;
use crate::support::{
    app::{HELD, TestApp},
    client::{Reply, TestClient},
    twilio_callback::TwilioCallback,
    wait::wait_for,
};

async fn reconcile(app: &TestApp) -> usize {
    app.node.worker.reconcile().await.unwrap()
}

/// The callbacks of one outcome that the node has counted.
async fn counted(app: &TestApp, outcome: &str) -> u64 {
    let operators = TestClient::new(&format!("http://{}", app.node.operator_address), None);
    let text = operators.get("/metrics").await.text;
    let name = format!("onhook_callbacks_total{{provider=\"twilio\",outcome=\"{outcome}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |count| count.parse().expect("a number"))
}

/// A call that rings and is answered when told; the provider has reported that it rings.
async fn ringing(app: &TestApp) -> String {
    books::script(app, &json!({"answer_after_ms": null})).await;
    let id = app.place().await;
    app.wait_for_status(&id, "ringing").await;
    let both = |applied: &i64| *applied >= 1;
    wait_for(
        "its callback",
        || books::receipts(app, &id, "applied"),
        both,
    )
    .await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_callbacks_are_repaired_by_reading_quiet_calls() {
    let app = TestApp::by_hand().await;
    app.fault("callback", 0, &json!({"drop": true})).await;
    let id = app.place().await;
    let answered = |there: &Value| there["state"] == "in-progress";
    wait_for("the answer", || app.at_provider(&id), answered).await;
    assert_eq!(app.call(&id).await["status"], "initiating");

    assert_eq!(reconcile(&app).await, 0, "not quiet for long enough");
    app.advance(121);
    assert_eq!(reconcile(&app).await, 1);
    let call = app.call(&id).await;
    assert_eq!(call["status"], "in-progress");
    let connected_at = call["answered_at"].clone();

    assert_eq!(books::party(&app, &id, "hangup").await, 200);
    let hung_up_at = app.at_provider(&id).await["ended_at"].clone();
    app.advance(121);
    assert_eq!(reconcile(&app).await, 1);
    let call = app.call(&id).await;
    assert_eq!(call["status"], "completed");
    assert_eq!(call["ended_reason"], "remote_hangup");
    assert_eq!(call["answered_at"], connected_at);
    assert_eq!(call["ended_at"], hung_up_at, "the provider's time");
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doubled_callbacks_count_once() {
    let app = TestApp::by_hand().await;
    app.fault("callback", 0, &json!({"duplicate": true})).await;
    let id = app.place_answered().await;
    app.advance(30);
    assert_eq!(books::party(&app, &id, "hangup").await, 200);
    app.wait_for_status(&id, "completed").await;
    let all = |there: &Value| {
        there["callbacks"]
            .as_array()
            .is_some_and(|all| all.len() == 8)
    };
    let there = wait_for("every copy", || app.at_provider(&id), all).await;

    for callback in there["callbacks"].as_array().unwrap() {
        assert_eq!(callback["answers"], json!([204]));
    }
    assert_eq!(
        books::story(&app, &id).await,
        ["started", "ringing", "connected", "ended", "billed"]
    );
    let stored =
        books::receipts(&app, &id, "applied").await + books::receipts(&app, &id, "stale").await;
    assert_eq!(stored, 4, "each report once");
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_overtakes_the_answer_is_billed_from_the_answer() {
    let app = TestApp::by_hand().await;
    let id = ringing(&app).await;
    app.fault("callback", 1, &json!({"reorder": true})).await;
    assert_eq!(books::party(&app, &id, "answer").await, 200);
    app.advance(42);
    assert_eq!(books::party(&app, &id, "hangup").await, 200);

    let call = app.wait_for_status(&id, "completed").await;
    let there = app.at_provider(&id).await;
    assert_eq!(call["answered_at"], there["answered_at"]);
    assert_eq!(call["ended_at"], there["ended_at"]);
    assert_eq!(call["duration_seconds"], 42);
    assert_eq!(call["cost"]["billable_milliseconds"], 42_000);
    assert_eq!(call["cost"]["amount_micros"], 14_000);
    let stored = || async {
        let applied = books::receipts(&app, &id, "applied").await;
        applied + books::receipts(&app, &id, "stale").await
    };
    wait_for("every report", stored, |stored| *stored == 4).await;
    assert_eq!(app.call(&id).await, call);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_after_the_end_is_stored_and_changes_nothing() {
    let app = TestApp::by_hand().await;
    let id = ringing(&app).await;
    let path = format!("/api/v1/calls/{id}/terminate");
    assert_eq!(app.client.post_nothing(&path).await.status, 200);
    let over = app.wait_for_status(&id, "canceled").await;
    app.advance(5);

    let late = callback(&app, &id).await.with("CallStatus", "in-progress");
    let reply = late.send(&app).await;

    assert_eq!(reply.status, 204, "{}", reply.text);
    assert_eq!(app.call(&id).await, over);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

/// A report of the tenant's provider on the call, correctly signed, that it is in progress.
async fn callback(app: &TestApp, id: &str) -> TwilioCallback {
    let sid = app.call(id).await["call_sid"].as_str().unwrap().to_owned();
    TwilioCallback::about(&app.tenant, id, &sid)
}

/// The call and what was stored of its callbacks, to see that nothing changed.
async fn whole(app: &TestApp, id: &str) -> (Value, i64, i64) {
    (
        app.call(id).await,
        books::receipts(app, id, "applied").await,
        books::receipts(app, id, "stale").await,
    )
}

fn assert_refused(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{}", reply.text);
    assert!(reply.json()["error"].is_string(), "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_signature_is_refused_and_counted() {
    let app = TestApp::running().await;
    let id = ringing(&app).await;
    app.fault("callback", 1, &json!({"forge": true})).await;
    assert_eq!(counted(&app, "forged").await, 0);

    assert_eq!(books::party(&app, &id, "answer").await, 200);

    app.wait_for_status(&id, "in-progress").await;
    let callbacks = app.at_provider(&id).await["callbacks"].clone();
    let forged: Vec<&Value> = callbacks
        .as_array()
        .unwrap()
        .iter()
        .filter(|callback| callback["copy"] == "forged")
        .collect();
    assert_eq!(forged.len(), 1);
    assert_eq!(forged[0]["answers"], json!([403]));
    assert_eq!(counted(&app, "forged").await, 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_this_account_did_not_sign_changes_nothing() {
    let app = TestApp::running().await;
    let id = ringing(&app).await;
    let before = whole(&app, &id).await;
    let good = callback(&app, &id).await.with("CallStatus", "completed");

    let unsigned = good.clone().signature(None);
    let nonsense = good.clone().signature(Some("bm9uc2Vuc2U="));
    let not_base64 = good.clone().signature(Some("?"));
    let strangers = good.clone().secret(&app.stranger.auth_token);
    let changed = good
        .clone()
        .tampered("CallStatus=completed", "CallStatus=failed");
    for callback in [unsigned, nonsense, not_base64, strangers, changed] {
        assert_refused(&callback.send(&app).await, 403);
    }
    let other_account = good.clone().with("AccountSid", &app.stranger.account_sid);
    assert_refused(&other_account.send(&app).await, 403);
    assert_eq!(counted(&app, "forged").await, 6);
    assert_eq!(whole(&app, &id).await, before);

    assert_eq!(good.send(&app).await.status, 204);
    app.wait_for_status(&id, "completed").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_about_anothers_or_no_call_finds_nothing() {
    let app = TestApp::running().await;
    let id = ringing(&app).await;
    let before = whole(&app, &id).await;
    let sid = app.call(&id).await["call_sid"].as_str().unwrap().to_owned();

    // The stranger's provider signs correctly, for the stranger's account, about our call.
    let theirs = TwilioCallback::about(&app.stranger, &id, &sid).with("CallStatus", "completed");
    let nobodys = uuid::Uuid::nil().to_string();
    let unknown = TwilioCallback::about(&app.tenant, &nobodys, &sid);
    let malformed = TwilioCallback::about(&app.tenant, "x", &sid);
    for callback in [&theirs, &unknown, &malformed] {
        let reply = callback.send(&app).await;
        assert_eq!(
            (reply.status, reply.text.as_str()),
            (404, r#"{"error":"Not found"}"#)
        );
    }

    assert_eq!(whole(&app, &id).await, before);
    assert_eq!(app.call(&id).await["status"], "ringing");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_report_changes_nothing_whatever_its_unsigned_headers_say() {
    let app = TestApp::running().await;
    let id = ringing(&app).await;
    let answered = callback(&app, &id)
        .await
        .with("CallStatus", "in-progress")
        .with("SequenceNumber", "2");
    assert_eq!(answered.send(&app).await.status, 204);
    let before = app.wait_for_status(&id, "in-progress").await;
    let stored = whole(&app, &id).await;

    for token in ["one", "two"] {
        let again = answered.clone().header("i-twilio-idempotency-token", token);
        assert_eq!(again.send(&app).await.status, 204);
    }

    assert_eq!(app.call(&id).await, before);
    assert_eq!(whole(&app, &id).await, stored);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_with_another_provider_id_is_not_about_this_call() {
    let app = TestApp::running().await;
    let id = ringing(&app).await;
    let before = app.call(&id).await;
    let other = TwilioCallback::about(&app.tenant, &id, &format!("CA{:032}", 1))
        .with("CallStatus", "completed");

    assert_eq!(
        other.send(&app).await.status,
        204,
        "theirs, but late or wrong"
    );

    assert_eq!(app.call(&id).await, before);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_report_is_refused() {
    let app = TestApp::running().await;
    let id = ringing(&app).await;
    let large = callback(&app, &id)
        .await
        .with("CallStatus", "completed")
        .with("Filler", &"x".repeat(70_000));

    assert_refused(&large.send(&app).await, 413);

    assert_eq!(app.call(&id).await["status"], "ringing");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_that_arrive_before_the_creates_answer_are_applied() {
    let app = TestApp::by_hand().await;
    let fault = json!({"delay_ms": HELD, "when": "after"});
    app.fault("create", 1, &fault).await;
    let id = app.place().await;

    app.wait_for_status(&id, "in-progress").await;
    assert!(
        books::jobs(&app, &id)
            .await
            .iter()
            .any(|job| job.lease.is_some()),
        "the dial is still under way"
    );

    app.release().await;
    let done = |jobs: &Vec<books::JobRow>| jobs.is_empty();
    wait_for("the create's answer", || books::jobs(&app, &id), done).await;
    assert_eq!(app.call(&id).await["status"], "in-progress");
    assert_eq!(app.at_provider(&id).await["create_requests"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_far_end_that_hangs_up_completes_the_call_with_the_providers_times() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    app.advance(90);
    assert_eq!(books::party(&app, &id, "hangup").await, 200);

    let call = app.wait_for_status(&id, "completed").await;
    let there = app.at_provider(&id).await;
    assert_eq!(call["ended_reason"], "remote_hangup");
    assert_eq!(call["ended_at"], there["ended_at"]);
    assert_eq!(call["answered_at"], there["answered_at"]);
    assert_eq!(call["duration_seconds"], 90);
    assert_eq!(call["cost"]["billed_seconds"], 120);
    assert_eq!(call["cost"]["amount_micros"], 28_000);
    assert_eq!(call["end"]["side"], "remote");
    assert_eq!(call["end"]["state"], Value::Null, "nobody asked for it");
    assert_eq!(
        books::story(&app, &id).await,
        ["started", "ringing", "connected", "ended", "billed"]
    );
    assert_eq!(books::usage(&app, &id).await, [(90_000, 28_000)]);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_nobody_takes_end_with_their_reason_and_cost_nothing() {
    let app = TestApp::by_hand().await;
    for (act, status, reason, side) in [
        ("busy", "busy", "busy", "remote"),
        ("no-answer", "no-answer", "no_answer", "remote"),
        ("fail", "failed", "provider_error", "provider"),
    ] {
        let id = ringing(&app).await;
        assert_eq!(books::party(&app, &id, act).await, 200);
        assert_unanswered(&app, &id, (status, reason, side)).await;
    }
    for (code, reason, side) in [
        (404, "invalid_destination", "provider"),
        (603, "declined", "remote"),
    ] {
        let id = ringing(&app).await;
        let sid = app.call(&id).await["call_sid"].as_str().unwrap().to_owned();
        let path = format!("/_sim/calls/{sid}/fail");
        let reply = app.sim.post(&path, &json!({"sip_code": code})).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_unanswered(&app, &id, ("failed", reason, side)).await;
    }
    app.stop().await;
}

async fn assert_unanswered(app: &TestApp, id: &str, (status, reason, side): (&str, &str, &str)) {
    let call = app.wait_for_status(id, status).await;
    assert_eq!(call["ended_reason"], reason);
    assert_eq!(call["end"]["side"], side);
    assert_eq!(call["answered_at"], Value::Null);
    assert_eq!(call["duration_seconds"], 0);
    assert_eq!(call["cost"]["amount_micros"], 0);
    assert_eq!(
        books::story(app, id).await,
        ["started", "ringing", "ended", "did_not_connect"]
    );
    assert_eq!(books::usage(app, id).await, [(0, 0)]);
    books::assert_ended_once(app, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_past_its_maximum_duration_is_ended_by_us_too() {
    let app = TestApp::by_hand().await;
    let limits = json!({"max_duration_seconds": 600});
    let body = json!({"agent_id": app.tenant.agent_id, "to": "+15550101", "limits": limits});
    let reply = app.client.post("/api/v1/calls", &body).await;
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    app.wait_for_status(&id, "in-progress").await;

    app.advance(599);
    reconcile(&app).await;
    assert_eq!(app.call(&id).await["end"], Value::Null);
    app.advance(1);
    assert_eq!(reconcile(&app).await, 1);

    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["ended_reason"], "max_duration");
    assert_eq!(call["end"]["initiator"], "system:max_duration");
    assert_eq!(call["duration_seconds"], 600);
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 1);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_rings_for_ever_is_ended_by_us_too() {
    let app = TestApp::by_hand().await;
    let id = ringing(&app).await;
    app.advance(121);
    assert_eq!(reconcile(&app).await, 1);

    let call = app.wait_for_status(&id, "canceled").await;
    assert_eq!(call["ended_reason"], "ring_timeout");
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_taken_by_post_only() {
    let app = TestApp::running().await;
    let id = ringing(&app).await;
    let path = format!("/callbacks/twilio/{}/calls/{id}", app.tenant.account_id);
    let nobody = app.client.with_token(None);
    let reply = nobody.send(Method::GET, &path, &[], "").await;
    assert_eq!(reply.status, 405, "{}", reply.text);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_can_not_be_read_is_not_ended_on_a_guess() {
    let app = TestApp::by_hand().await;
    let id = ringing(&app).await;
    app.fault("fetch", 1, &json!({"respond": {"status": 500}}))
        .await;
    app.advance(121);
    assert_eq!(reconcile(&app).await, 1);
    assert_eq!(app.call(&id).await["end"], Value::Null);

    assert_eq!(reconcile(&app).await, 1);
    app.wait_for_status(&id, "canceled").await;
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}
