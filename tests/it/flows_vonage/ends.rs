//! Calls that we dialled, and how they end.

use onhook::domain::CallId;
use serde_json::json;

use super::{
    assert_over, assert_success, connect, fault, named, place, place_answered, stand_still,
    terminate,
};
use crate::{flows::books, support::app::TestApp};

/// Where the provider keeps the call, as far as the database knows.
async fn provider_host(app: &TestApp, id: &str) -> Option<String> {
    let id: CallId = id.parse().expect("a call's id");
    let sql = "SELECT provider_host FROM calls WHERE id = $1";
    let found = sqlx::query_scalar(sql).bind(id.0);
    let mut owner = app.database.as_owner().await;
    found.fetch_one(&mut owner).await.expect("the call")
}

async fn fail(app: &TestApp, id: &str, sip_code: u16) {
    let sid = app.call(id).await["call_sid"].clone();
    let path = format!("/_sim/calls/{}/fail", sid.as_str().expect("a sid"));
    let reply = app.sim.post(&path, &json!({"sip_code": sip_code})).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_placed_told_what_to_do_and_ended_and_its_end_is_proved_by_the_signed_event() {
    let app = TestApp::running().await;
    let account = connect(&app).await;
    let id = place_answered(&app, &account).await;
    assert_eq!(app.at_provider(&id).await["state"], "in-progress");
    // The question told where the call lives.
    let region = app.simulator.base_url().replace("http://", "");
    assert_eq!(provider_host(&app, &id).await, Some(region));

    assert_success(&terminate(&app, &id).await);

    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["end"]["confirmed_by"], "callback");
    let cause = json!({"status": "completed", "disconnected_by": "platform"});
    assert_over(&app, &id, "ended_by_api", "local", &cause).await;
    let seen = app.at_provider(&id).await;
    assert_eq!(seen["hangup_requests"], 1);
    assert_eq!(seen["hangups_carried_out"], 1);
    assert_eq!(seen["create_requests"], 1);
    assert_eq!(seen["client_state"], seen["status_callback"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_to_end_when_it_asks_is_told_to_do_nothing() {
    let app = TestApp::running().await;
    let account = connect(&app).await;
    // The event, and then the question, while every hang-up fails.
    fault(&app, "hangup", 0, json!({"respond": {"status": 503}})).await;
    stand_still(&app).await;
    let id = place(&app, &account).await;
    named(&app, &id).await;
    let reply = terminate(&app, &id).await;
    assert_eq!(reply.json()["code"], "HANGUP_RETRYING", "{}", reply.text);

    assert_eq!(books::party(&app, &id, "answer").await, 200);

    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["ended_reason"], "ended_by_api");
    assert_eq!(call["end"]["confirmed_by"], "callback");
    books::assert_ended_once(&app, &id).await;
    assert_eq!(app.at_provider(&id).await["hangups_carried_out"], 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ringing_call_that_is_ended_counts_as_canceled() {
    let app = TestApp::running().await;
    let account = connect(&app).await;
    stand_still(&app).await;
    let id = place(&app, &account).await;

    assert_success(&terminate(&app, &id).await);

    app.wait_for_status(&id, "canceled").await;
    let cause = json!({"status": "cancelled"});
    assert_over(&app, &id, "ended_by_api", "local", &cause).await;
    assert_eq!(app.at_provider(&id).await["state"], "canceled");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_that_fails_is_asked_again_until_it_succeeds() {
    let app = TestApp::running().await;
    let account = connect(&app).await;
    let id = place_answered(&app, &account).await;
    fault(&app, "hangup", 2, json!({"respond": {"status": 503}})).await;

    let reply = terminate(&app, &id).await;
    assert!(
        reply.status == 200 || reply.json()["code"] == "HANGUP_RETRYING",
        "{}",
        reply.text
    );
    let call = app.wait_for_status(&id, "completed").await;

    assert_eq!(call["end"]["state"], "confirmed");
    books::assert_ended_once(&app, &id).await;
    let seen = app.at_provider(&id).await;
    assert_eq!(seen["hangup_requests"], 3);
    assert_eq!(seen["hangups_carried_out"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_404_of_a_call_that_is_over_is_believed_only_after_reading_the_call() {
    let app = TestApp::by_hand().await;
    let account = connect(&app).await;
    let id = place_answered(&app, &account).await;
    app.advance(5);
    // The far end's hanging up is never told.
    fault(&app, "callback", 1, json!({"drop": true})).await;
    assert_eq!(books::party(&app, &id, "hangup").await, 200);
    assert_eq!(app.call(&id).await["status"], "in-progress");

    assert_success(&terminate(&app, &id).await);

    let call = app.call(&id).await;
    assert_eq!(call["status"], "completed");
    assert_eq!(call["end"]["confirmed_by"], "fetch");
    let cause = json!({"status": "completed"});
    assert_over(&app, &id, "ended_by_api", "local", &cause).await;
    let hang_ups = books::hang_ups(&app, &id).await;
    assert_eq!(hang_ups.len(), 1);
    assert_eq!(hang_ups[0].provider_status, Some(404));
    assert_eq!(hang_ups[0].provider_code.as_deref(), Some("not-found"));
    assert_eq!(app.at_provider(&id).await["hangups_carried_out"], 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_404_of_a_call_that_lives_ends_nothing_and_the_next_wish_does() {
    let app = TestApp::by_hand().await;
    let account = connect(&app).await;
    let id = place_answered(&app, &account).await;
    // Another region, another account or a proxy: nobody can tell.
    for operation in ["hangup", "fetch"] {
        let proxy = json!({"respond": {"status": 404, "body": "<h1>404 Not Found</h1>"}});
        fault(&app, operation, 1, proxy).await;
    }

    let reply = terminate(&app, &id).await;
    assert_ne!(reply.status, 200, "{}", reply.text);
    let call = app.call(&id).await;
    assert_eq!(
        (&call["status"], &call["end"]["state"]),
        (&json!("in-progress"), &json!("failed"))
    );

    assert_success(&terminate(&app, &id).await);
    app.wait_for_status(&id, "completed").await;
    books::assert_ended_once(&app, &id).await;
    assert_eq!(app.at_provider(&id).await["hangups_carried_out"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_far_ends_hanging_up_or_declining_is_told_and_named() {
    let app = TestApp::running().await;
    let account = connect(&app).await;
    let id = place_answered(&app, &account).await;
    assert_eq!(books::party(&app, &id, "hangup").await, 200);
    app.wait_for_status(&id, "completed").await;
    let cause = json!({"status": "completed", "disconnected_by": "user"});
    assert_over(&app, &id, "remote_hangup", "remote", &cause).await;

    stand_still(&app).await;
    for (act, status, reason, cause) in [
        ("busy", "busy", "busy", json!({"status": "busy"})),
        (
            "no-answer",
            "no-answer",
            "no_answer",
            json!({"status": "unanswered", "detail": "timeout"}),
        ),
    ] {
        let id = place(&app, &account).await;
        named(&app, &id).await;
        assert_eq!(books::party(&app, &id, act).await, 200);
        app.wait_for_status(&id, status).await;
        assert_over(&app, &id, reason, "remote", &cause).await;
    }
    for (sip_code, reason, side, word, detail) in [
        (603, "declined", "remote", "rejected", "declined"),
        (
            404,
            "invalid_destination",
            "provider",
            "rejected",
            "invalid_number",
        ),
        (
            500,
            "provider_error",
            "provider",
            "failed",
            "internal_error",
        ),
    ] {
        let id = place(&app, &account).await;
        named(&app, &id).await;
        fail(&app, &id, sip_code).await;
        app.wait_for_status(&id, "failed").await;
        let cause = json!({"status": word, "detail": detail, "sip_code": sip_code.to_string()});
        assert_over(&app, &id, reason, side, &cause).await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_that_hang_up_at_once_end_the_call_once() {
    let app = TestApp::running().await;
    let account = connect(&app).await;
    for _ in 0..3 {
        let id = place_answered(&app, &account).await;
        let (_, reply) = tokio::join!(books::party(&app, &id, "hangup"), terminate(&app, &id));
        // 400: over before it was asked.
        assert!(matches!(reply.status, 200 | 400), "{}", reply.text);
        let call = app.wait_for_status(&id, "completed").await;
        let reason = call["ended_reason"].as_str().expect("a reason");
        let side = call["end"]["side"].as_str().expect("a side");
        let ends = [("ended_by_api", "local"), ("remote_hangup", "remote")];
        assert!(ends.contains(&(reason, side)), "{call}");
        books::assert_ended_once(&app, &id).await;
    }
    app.stop().await;
}
