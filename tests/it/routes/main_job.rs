//! The main job: place a call, end it, be told.

use crate::support::{app::TestApp, wait::wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_placed_ended_billed_once_and_told_by_signed_webhook() {
    let app = TestApp::running().await;
    let id = app.place_answered().await;

    let reply = app
        .client
        .post_nothing(&format!("/api/v1/calls/{id}/terminate"))
        .await;

    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(
        reply.text,
        r#"{"success":true,"message":"Call terminated successfully via twilio"}"#
    );
    let call = app.call(&id).await;
    assert_eq!(call["status"], "completed");
    assert_eq!(call["ended_reason"], "ended_by_api");
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 1);
    let arrived = wait_for(
        "the ended event",
        || async { app.receiver.received() },
        |arrived| {
            arrived
                .iter()
                .any(|event| event.kind.as_deref() == Some("event_phone_call_ended"))
        },
    )
    .await;
    assert!(arrived.iter().all(|event| event.signature_valid));
    app.stop().await;
}
