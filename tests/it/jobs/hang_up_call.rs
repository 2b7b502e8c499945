//! The hang-up: nothing else keeps it waiting.

use serde_json::{Value, json};

use crate::{
    flows::books,
    support::{
        app::{HELD, TestApp},
        wait::wait_for,
    },
};

/// How many dials a node has under way at most for one account.
const MOST_DIALS: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_is_repeated_while_slow_dials_take_every_place() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    app.fault("hangup", 1, &json!({"respond": {"status": 500}}))
        .await;
    let path = format!("/api/v1/calls/{id}/terminate");
    assert_eq!(app.client.post_nothing(&path).await.status, 500);
    app.fault("create", 0, &json!({"delay_ms": HELD})).await;
    for _ in 0..=MOST_DIALS {
        app.place().await;
    }
    let busy = |stats: &Value| stats["creates"] == MOST_DIALS + 1;
    wait_for("every place to be taken", || books::stats(&app), busy).await;

    app.advance(1);
    assert_eq!(app.node.worker.run_due().await.unwrap(), 1);

    assert_eq!(app.call(&id).await["status"], "completed");
    let waiting = books::provider_calls(&app).await.len();
    assert_eq!(waiting, 1, "the dials are still under way");
    app.release().await;
    app.stop().await;
}

/// Reads that time out must not outlast the job's lease: its outcome would never be recorded.
#[tokio::test(flavor = "multi_thread")]
async fn already_over_is_recorded_however_slow_the_provider_is() {
    let app = TestApp::by_hand().await;
    let slow_end = json!({"hangup_answer": "in-progress", "hangup_after_ms": 3_600_000});
    books::script(&app, &slow_end).await;
    let id = app.place_answered().await;
    app.fault("callback", 0, &json!({"drop": true})).await;
    let path = format!("/api/v1/calls/{id}/terminate");
    assert_eq!(app.client.post_nothing(&path).await.status, 200);
    assert_eq!(app.call(&id).await["end"]["state"], "accepted");
    assert_eq!(books::party(&app, &id, "hangup").await, 200);
    app.fault("fetch", 0, &json!({"delay_ms": HELD})).await;
    app.fault("hangup", 1, &json!({"delay_ms": 2500})).await;
    // With two reads of this length the lease would run out.
    let deadline = ("ONHOOK_PROVIDER_HANG_UP_TIMEOUT_MS", "4000");
    let node = app.node_with(&[deadline]).await;

    app.advance(30);
    assert_eq!(node.worker.run_due().await.unwrap(), 1);

    let call = app.call(&id).await;
    assert_eq!(call["status"], "completed", "{call:#}");
    assert_eq!(call["end"]["confirmed_by"], "hang_up_answer");
    books::assert_ended_once(&app, &id).await;
    node.stop().await;
    app.stop().await;
}
