//! Calls that come in.

use serde_json::{Value, json};

use super::{assert_over, assert_success, connect, fault, terminate};
use crate::{
    flows::books,
    support::{app::TestApp, client::Reply, wait::wait_for},
};

/// A call comes in to `to`; the provider's name for it.
async fn call_in(app: &TestApp, to: &str) -> String {
    let body = json!({"provider": "vonage", "from": "15550199", "to": to});
    let reply = app.sim.post("/_sim/inbound", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()["id"].as_str().expect("an id").to_owned()
}

/// A call that came in and was answered; our id.
async fn came_in_answered(app: &TestApp) -> String {
    let at_provider = call_in(app, "15550120").await;
    let list = async || app.client.get("/api/v1/calls?direction=inbound").await;
    let answered = |reply: &Reply| reply.json()["items"][0]["status"] == "in-progress";
    let call = wait_for("the call to be answered", list, answered)
        .await
        .json()["items"][0]
        .clone();
    assert_eq!(call["call_sid"], at_provider.as_str());
    assert_eq!(
        (&call["from"], &call["to"]),
        (&json!("+15550199"), &json!("+15550120"))
    );
    assert_eq!(call["provider"], "vonage");
    call["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_comes_in_is_answered_and_ended_by_us_or_by_the_caller() {
    let app = TestApp::running().await;
    let _account = connect(&app).await;
    let id = came_in_answered(&app).await;
    assert_success(&terminate(&app, &id).await);
    app.wait_for_status(&id, "completed").await;
    let cause = json!({"status": "completed", "disconnected_by": "platform"});
    assert_over(&app, &id, "ended_by_api", "local", &cause).await;
    assert_eq!(app.at_provider(&id).await["hangups_carried_out"], 1);

    let id = came_in_answered(&app).await;
    assert_eq!(books::party(&app, &id, "hangup").await, 200);
    app.wait_for_status(&id, "completed").await;
    let cause = json!({"status": "completed", "disconnected_by": "user"});
    assert_over(&app, &id, "remote_hangup", "remote", &cause).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_comes_twice_or_forged_is_one_call_that_came_in() {
    let app = TestApp::running().await;
    let _account = connect(&app).await;
    fault(&app, "callback", 1, json!({"forge": true})).await;
    fault(&app, "callback", 1, json!({"duplicate": true})).await;
    let id = came_in_answered(&app).await;
    let all = |seen: &Value| seen["callbacks"].as_array().map_or(0, Vec::len) == 4;
    let seen = wait_for("every report", || app.at_provider(&id), all).await;
    let answers: Vec<&Value> = seen["callbacks"]
        .as_array()
        .expect("callbacks")
        .iter()
        .map(|sent| &sent["answers"][0])
        .collect();
    assert_eq!(answers, [403, 200, 204, 204]);
    let listed = app
        .client
        .get("/api/v1/calls?direction=inbound")
        .await
        .json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    assert_success(&terminate(&app, &id).await);
    app.wait_for_status(&id, "completed").await;
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_number_that_nobody_has_is_turned_away() {
    let app = TestApp::running().await;
    let _account = connect(&app).await;
    let at_provider = call_in(&app, "15550999").await;
    let path = format!("/_sim/calls/{at_provider}");
    let over = |call: &Value| call["state"] == "busy";
    let sim = async || app.sim.get(&path).await.json();
    let seen = wait_for("the call to be turned away", sim, over).await;
    assert_eq!(seen["answered_at"], Value::Null);
    let listed = app
        .client
        .get("/api/v1/calls?direction=inbound")
        .await
        .json();
    assert_eq!(listed["items"], json!([]));
    app.stop().await;
}
