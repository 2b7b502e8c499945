//! Dials whose answer is lost, late or a refusal.

use serde_json::{Value, json};

use super::{
    assert_over, assert_success, connect, fault, named, place, place_answered, stand_still,
    terminate,
};
use crate::{
    flows::books,
    support::{
        app::{HELD, TestApp},
        wait::wait_for,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_whose_answer_is_lost_is_found_by_numbers_and_time_and_never_dialled_twice() {
    let app = TestApp::by_hand().await;
    let account = connect(&app).await;
    stand_still(&app).await;
    // Two more between the same numbers, which are known.
    let others = [place(&app, &account).await, place(&app, &account).await];
    for other in &others {
        named(&app, other).await;
    }
    fault(&app, "create", 1, json!({"reset": "after"})).await;
    fault(&app, "callback", 1, json!({"drop": true})).await;
    let id = place(&app, &account).await;
    let at_provider = |calls: &Value| calls["calls"].as_array().map_or(0, Vec::len) == 3;
    let sim = async || app.sim.get("/_sim/calls").await.json();
    wait_for("the third call", sim, at_provider).await;

    let found = |call: &Value| call["call_sid"] != id.as_str();
    let look = async || {
        app.advance(5);
        app.node.worker.run_due().await.expect("a round");
        app.call(&id).await
    };
    wait_for("the dial to be found", look, found).await;

    let all = books::provider_calls(&app).await;
    assert_eq!(all.len(), 3, "nothing rang twice");
    assert!(all.iter().all(|call| call["create_requests"] == 1));
    assert_eq!(app.at_provider(&id).await["id"], all[2]["id"]);
    assert_success(&terminate(&app, &id).await);
    app.wait_for_status(&id, "canceled").await;
    books::assert_ended_once(&app, &id).await;
    for other in &others {
        assert_eq!(app.at_provider(other).await["state"], "queued");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_faster_than_the_dials_answer_or_outlives_it_names_the_call() {
    let app = TestApp::by_hand().await;
    let account = connect(&app).await;
    for how in [
        json!({"delay_ms": HELD, "when": "after"}),
        json!({"reset": "after"}),
    ] {
        fault(&app, "create", 1, how.clone()).await;
        let id = place_answered(&app, &account).await;
        assert_success(&terminate(&app, &id).await);
        app.wait_for_status(&id, "completed").await;
        app.release().await;
        let ended_once = async || books::jobs(&app, &id).await.len();
        wait_for("the dial's job to end", ended_once, |open| *open == 0).await;
        books::assert_ended_once(&app, &id).await;
        assert_eq!(app.at_provider(&id).await["create_requests"], 1, "{how}");
    }
    assert_eq!(books::stats(&app).await["lists"], 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_is_refused_is_told_with_its_reason() {
    let app = TestApp::running().await;
    let account = connect(&app).await;
    let wrong = json!({"error_title": "Bad Request", "invalid_parameters": {"to": "Invalid"}});
    for (respond, reason) in [
        (json!({"status": 403}), "provider_rejected"),
        (json!({"status": 400, "body": wrong}), "invalid_destination"),
    ] {
        fault(&app, "create", 1, json!({"respond": respond})).await;
        let id = place(&app, &account).await;
        app.wait_for_status(&id, "failed").await;
        assert_over(&app, &id, reason, "provider", &Value::Null).await;
    }
    assert!(books::provider_calls(&app).await.is_empty());
    app.stop().await;
}
