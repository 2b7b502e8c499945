//! A bridge of the customer's own, known by its owner's description.

use serde_json::{Value, json};

use super::{
    assert_ended_once, assert_success, connect, connect_with, fault, party, place, place_answered,
    seen, terminate,
};
use crate::support::{app::TestApp, wait::wait_for};

const OWN: &str = "own-bridge";

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_placed_answered_and_ended_and_its_end_is_told_by_a_signed_report() {
    let app = TestApp::running().await;
    let account = connect(&app, OWN).await;
    let id = place_answered(&app, account).await;

    assert_success(&terminate(&app, &id).await);

    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["end"]["confirmed_by"], "callback");
    assert_ended_once(&app, &id, "ended_by_api", "local").await;
    let seen = seen(&app, &id).await;
    assert_eq!(seen["hangup_requests"], 1);
    assert_eq!(seen["create_requests"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_reports_the_status_for_over_proves_the_end_when_it_is_asked_again() {
    let app = TestApp::by_hand().await;
    let account = connect(&app, OWN).await;
    let id = place_answered(&app, account).await;
    fault(&app, "callback", 0, json!({"drop": true})).await;

    assert_success(&terminate(&app, &id).await);

    let ask_again = async || {
        app.advance(5);
        app.node.worker.run_due().await.expect("a round");
        app.call(&id).await
    };
    let over = |call: &Value| call["status"] == "completed";
    let call = wait_for("the end to be proved", ask_again, over).await;
    assert_eq!(call["end"]["confirmed_by"], "hang_up_answer");
    assert_eq!(seen(&app, &id).await["hangups_carried_out"], 1);
    assert_ended_once(&app, &id, "ended_by_api", "local").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_far_ends_hanging_up_is_told_and_named() {
    let app = TestApp::running().await;
    let account = connect(&app, OWN).await;
    let id = place_answered(&app, account).await;
    party(&app, &id, "hangup", &json!({})).await;
    app.wait_for_status(&id, "completed").await;
    assert_ended_once(&app, &id, "remote_hangup", "remote").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_for_unknown_is_no_evidence_and_one_that_nobody_named_neither() {
    let app = TestApp::running().await;
    let account = connect(&app, OWN).await;
    for status in [404, 418] {
        let id = place_answered(&app, account).await;
        fault(&app, "hangup", 1, json!({"respond": {"status": status}})).await;
        let reply = terminate(&app, &id).await;
        assert_eq!(reply.status, 500, "{}", reply.text);
        assert_eq!(app.call(&id).await["status"], "in-progress");
        // Asked again, it is ended.
        assert_success(&terminate(&app, &id).await);
        app.wait_for_status(&id, "completed").await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_whose_answer_is_lost_is_known_by_the_bridges_reports() {
    let app = TestApp::running().await;
    let account = connect(&app, OWN).await;
    fault(&app, "create", 1, json!({"reset": "after"})).await;
    let id = place_answered(&app, account).await;
    assert_eq!(seen(&app, &id).await["create_requests"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_without_a_dial_refuses_one() {
    let app = TestApp::running().await;
    let no_dial = |credentials: &mut Value| credentials["dial"] = Value::Null;
    let account = connect_with(&app, OWN, no_dial).await;
    let id = place(&app, account).await;
    app.wait_for_status(&id, "failed").await;
    let none = |calls: &Value| calls["calls"].as_array().is_some_and(Vec::is_empty);
    let sim = async || app.sim.get("/_sim/calls").await.json();
    wait_for("nothing at the bridge", sim, none).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_that_come_twice_or_forged_change_nothing() {
    let app = TestApp::running().await;
    let account = connect(&app, OWN).await;
    fault(&app, "callback", 1, json!({"forge": true})).await;
    fault(&app, "callback", 1, json!({"duplicate": true})).await;
    let id = place_answered(&app, account).await;
    let told = |seen: &Value| {
        seen["callbacks"]
            .as_array()
            .is_some_and(|all| all.len() == 4)
    };
    let seen = wait_for("every report", || seen(&app, &id), told).await;
    let answers: Vec<&Value> = seen["callbacks"]
        .as_array()
        .expect("callbacks")
        .iter()
        .map(|sent| &sent["answers"])
        .collect();
    assert_eq!(
        answers,
        [&json!([403]), &json!([204]), &json!([204]), &json!([204])]
    );
    app.stop().await;
}
