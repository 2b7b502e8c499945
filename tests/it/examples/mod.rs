//! The drop-in pages' own examples, as their readers run them: the statements are the pages', only
//! the base URL, the token and the ids are put in.
//!
//! An interpreter or library that this machine lacks is no failure: the test says what it skipped.

mod readme;
mod run;
mod sessions;

use serde_json::json;

use self::run::{Language, Output};
use crate::{
    flows::books,
    support::{app::TestApp, wait::wait_for},
};

const TERMINATE_CALL_PY: &str = include_str!("terminate_call.py");
const TERMINATE_ALL_PY: &str = include_str!("terminate_all.py");
const TERMINATE_CALL_JS: &str = include_str!("terminate_call.js");
const TERMINATE_CALL_SH: &str = include_str!("terminate_call.sh");
const END_CALL_JS: &str = include_str!("end_call.mjs");
const END_CALL_SH: &str = include_str!("end_call.sh");

/// The example with the test's base URL and token.
fn for_app(app: &TestApp, example: &str) -> String {
    let base = format!("http://{}", app.node.address);
    assert!(example.contains("https://api.example.com"));
    assert!(example.contains("YOUR_API_KEY"));
    example
        .replace("https://api.example.com", &base)
        .replace("YOUR_API_KEY", &app.tenant.token)
}

async fn sid(app: &TestApp, id: &str) -> String {
    let call = app.call(id).await;
    call["call_sid"].as_str().unwrap().to_owned()
}

fn succeeded(output: &Output) -> &str {
    assert!(output.success, "{output:#?}");
    &output.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_terminates_a_call() {
    let Some(python) = Language::python_with_requests().await else {
        return;
    };
    let app = TestApp::running().await;
    let id = app.place_answered().await;
    let sid = sid(&app, &id).await;
    let example = for_app(&app, TERMINATE_CALL_PY);
    let script = format!("{example}\nprint(terminate_call('{sid}'))\n");

    let output = python.run(&script).await;

    let message = "{'success': True, 'message': 'Call terminated successfully via twilio'}";
    let expected = format!("Call {sid} terminated successfully\n{message}\n");
    assert_eq!(succeeded(&output), expected);
    app.wait_for_status(&id, "completed").await;

    let output = python.run(&script).await;
    let detail = "Cannot terminate call - current status is 'completed'";
    assert_eq!(
        succeeded(&output),
        format!("Failed to terminate: {detail}\nNone\n")
    );
    let unknown = script.replace(&sid, "CA00000000000000000000000000000000");
    let output = python.run(&unknown).await;
    let detail = "Call not found or you don't have permission to terminate it";
    assert_eq!(
        succeeded(&output),
        format!("Failed to terminate: {detail}\nNone\n")
    );
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_terminates_all_active_calls() {
    let Some(python) = Language::python_with_requests().await else {
        return;
    };
    let app = TestApp::running().await;
    let over = app.place_answered().await;
    books::party(&app, &over, "hangup").await;
    app.wait_for_status(&over, "completed").await;
    let mut ids = vec![app.place_answered().await, app.place_answered().await];
    books::script(&app, &json!({"answer_after_ms": null})).await;
    ids.push(app.place().await);
    app.wait_for_status(&ids[2], "ringing").await;
    let (one, all) = (TERMINATE_CALL_PY, TERMINATE_ALL_PY);
    let examples = [one, all].map(|example| for_app(&app, example)).join("\n");

    let script = format!("{examples}\nterminate_all_active_calls()\n");
    let output = python.run(&script).await;

    let lines = succeeded(&output).lines().count();
    assert_eq!(lines, 2 * ids.len(), "{output:#?}");
    for id in &ids {
        let sid = sid(&app, id).await;
        let success = format!("Call {sid} terminated successfully\nTerminated call {sid}\n");
        assert!(output.stdout.contains(&success), "{output:#?}");
        books::assert_ended_once(&app, id).await;
    }
    assert_eq!(app.call(&over).await["ended_reason"], "remote_hangup");
    let output = python.run(&script).await;
    assert_eq!(succeeded(&output), "", "none is left");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_example_terminates_a_call() {
    let Some(node) = Language::node_with_axios().await else {
        return;
    };
    let app = TestApp::running().await;
    let id = app.place_answered().await;
    let sid = sid(&app, &id).await;
    let example = for_app(&app, TERMINATE_CALL_JS);
    let script = format!("{example}\nterminateCall('{sid}').catch(() => process.exit(7));\n");

    let output = node.run(&script).await;

    let message = "success: true, message: 'Call terminated successfully via twilio'";
    let stdout = succeeded(&output).split_whitespace().collect::<Vec<_>>();
    assert_eq!(
        stdout.join(" "),
        format!("Call terminated: {{ {message} }}")
    );
    app.wait_for_status(&id, "completed").await;

    let output = node.run(&script).await;
    let detail = "Cannot terminate call - current status is 'completed'";
    assert_eq!(output.stderr, format!("Failed to terminate: {detail}\n"));
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fetch_example_ends_an_agents_call() {
    let Some(node) = Language::node_modules().await else {
        return;
    };
    let app = TestApp::running().await;
    let id = app.place_answered().await;
    let example = for_app(&app, END_CALL_JS)
        .replace("agent-uuid", &app.tenant.agent_id.to_string())
        .replace("call-uuid-123", &id);
    let script = format!(
        "const response = {example}\nconsole.log(response.status, await response.text());\n"
    );

    let output = node.run(&script).await;

    let (status, body) = succeeded(&output).split_once(' ').unwrap();
    assert_eq!(status, "200", "{output:#?}");
    let call = app.wait_for_status(&id, "completed").await;
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let data = json!({
        "id": id, "status": "completed", "ended_at": call["ended_at"],
        "ended_reason": "ended_by_api",
    });
    assert_eq!(body, json!({"success": true, "data": data}));
    let output = node.run(&script).await;
    let over = r#"409 {"success":false,"message":"Call is not active","code":"CALL_NOT_ACTIVE"}"#;
    assert_eq!(succeeded(&output).trim_end(), over);
    assert_told(&app, &id).await;
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

/// The event of the page's notes fires.
async fn assert_told(app: &TestApp, id: &str) {
    let ended = "event_phone_call_ended";
    let delivered = |states: &Vec<String>| *states == ["delivered"];
    wait_for("the event", || books::deliveries(app, id, ended), delivered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_curl_examples_end_calls() {
    let Some(shell) = Language::shell_with_curl().await else {
        return;
    };
    let app = TestApp::running().await;
    let id = app.place_answered().await;
    let sid = sid(&app, &id).await;
    let example = for_app(&app, TERMINATE_CALL_SH);
    let script = example.replace("CAxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", &sid);
    let output = shell.run(&script).await;
    let expected = r#"{"success":true,"message":"Call terminated successfully via twilio"}"#;
    assert_eq!(succeeded(&output), expected);

    let id = app.place_answered().await;
    let script = for_app(&app, END_CALL_SH)
        .replace("agent-uuid", &app.tenant.agent_id.to_string())
        .replace("call-uuid-123", &id);
    let output = shell.run(&script).await;
    let body: serde_json::Value = serde_json::from_str(succeeded(&output)).unwrap();
    assert_eq!(body["data"]["status"], "completed", "{body}");
    app.wait_for_status(&id, "completed").await;
    app.stop().await;
}
