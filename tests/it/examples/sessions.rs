//! The examples of the two session pages, without a token on a node in local mode, and the
//! operator's. Beside the base URL, the token and the ids, only waits are shortened.

use serde_json::{Value, json};

use super::{run::Language, succeeded};
use crate::{
    flows::books,
    support::{
        app::{ADMIN_TOKEN, TestApp},
        client::TestClient,
        wait::wait_for,
    },
};

const END_SH: &str = include_str!("session_end.sh");
const END_AFTER_PY: &str = include_str!("session_end_after.py");
const END_ALL_PY: &str = include_str!("session_end_all.py");
const END_AFTER_TIMEOUT_PY: &str = include_str!("session_end_after_timeout.py");
const END_ALL_SH: &str = include_str!("session_end_all.sh");
const WEBHOOK_PY: &str = include_str!("session_webhook.py");
const LIST_SH: &str = include_str!("session_list.sh");
const POLL_PY: &str = include_str!("session_poll.py");
const DASHBOARD_JS: &str = include_str!("session_dashboard.js");
const LOAD_PY: &str = include_str!("session_load.py");
const ADMIN_CANCEL_SH: &str = include_str!("admin_cancel.sh");

const UNKNOWN: &str = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";

/// A node in local mode for the tenant, and who asks it.
struct Local {
    app: TestApp,
    base: String,
    client: TestClient,
    operator: TestClient,
}

impl Local {
    async fn running() -> Self {
        let app = TestApp::running().await;
        let (node, client) = app.local_node().await;
        let base = format!("http://{}", node.address);
        let operator = TestClient::new(&format!("http://{}", node.operator_address), None);
        Self {
            app,
            base,
            client,
            operator,
        }
    }

    /// The example, for this node.
    fn example(&self, text: &str) -> String {
        assert!(text.contains("http://localhost:8080"));
        text.replace("http://localhost:8080", &self.base)
    }

    /// How often this node was asked for the list.
    async fn lists(&self) -> u64 {
        let metrics = self.operator.get("/metrics").await.text;
        let series =
            r#"onhook_http_request_seconds_count{method="GET",route="/api/calls",status="200"} "#;
        let count = metrics.lines().find_map(|line| line.strip_prefix(series));
        count.map_or(0, |count| count.parse().expect("a count"))
    }

    /// The ids of the active calls.
    async fn active(&self) -> Vec<String> {
        let list = self.client.get("/api/calls").await.json();
        let calls = list["calls"].as_array().expect("calls").clone();
        assert_eq!(list["count"], calls.len());
        let id = |call: &Value| call["call_id"].as_str().expect("an id").to_owned();
        calls.iter().map(id).collect()
    }
}

/// What replaces a wait of the example's.
fn sooner(example: &str, wait: &str, instead: &str) -> String {
    assert!(example.contains(wait));
    example.replace(wait, instead)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_curl_examples_list_and_end_calls() {
    let Some(shell) = Language::shell_with_curl().await else {
        return;
    };
    let local = Local::running().await;
    let none = shell.run(&local.example(LIST_SH)).await;
    assert_eq!(succeeded(&none), r#"{"calls":[],"count":0}"#);
    let unknown = shell.run(&local.example(END_SH)).await;
    let not_found = r#"{"success":false,"error":"Call not found"}"#;
    assert_eq!(succeeded(&unknown), not_found);
    let id = local.app.place_answered().await;

    let list = shell.run(&local.example(LIST_SH)).await;
    let end = shell
        .run(&local.example(END_SH).replace(UNKNOWN, &id))
        .await;

    let call = format!(
        r#"{{"call_id":"{id}","to_number":"+15550101","status":"in-progress","direction":"outbound"}}"#
    );
    assert_eq!(
        succeeded(&list),
        format!(r#"{{"calls":[{call}],"count":1}}"#)
    );
    let ended = format!(r#"{{"success":true,"message":"Call {id} ended"}}"#);
    assert_eq!(succeeded(&end), ended);
    local.app.wait_for_status(&id, "completed").await;
    books::assert_ended_once(&local.app, &id).await;
    local.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_examples_end_a_call_after_a_while() {
    let Some(python) = Language::python_with_requests().await else {
        return;
    };
    let local = Local::running().await;
    let after = sooner(END_AFTER_PY, "time.sleep(30)", "time.sleep(1)");
    let output = python.run(&local.example(&after)).await;
    let mut lines = succeeded(&output).lines();
    let id = lines
        .next()
        .and_then(|line| line.strip_prefix("Call initiated: "));
    let id = id.expect("an id").to_owned();
    let ended = format!("Call ended: {{'success': True, 'message': 'Call {id} ended'}}");
    assert_eq!(lines.next(), Some(ended.as_str()));
    let call = local.app.wait_for_status(&id, "completed").await;
    let kept = json!({
        "prompt": "You are making a quick announcement.",
        "webhook_url": "https://your-ngrok-url.ngrok.io",
    });
    assert_eq!(call["metadata"], kept);
    books::assert_ended_once(&local.app, &id).await;

    let timeout = sooner(
        END_AFTER_TIMEOUT_PY,
        "timeout(call_id, 60)",
        "timeout(call_id, 1)",
    );
    let output = python.run(&local.example(&timeout)).await;
    let id = succeeded(&output)
        .strip_prefix("Call ")
        .and_then(|rest| rest.split(' ').next());
    let id = id.expect("an id").to_owned();
    assert_eq!(output.stdout, format!("Call {id} ended after 1s\n"));
    local.app.wait_for_status(&id, "completed").await;
    books::assert_ended_once(&local.app, &id).await;
    local.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_ends_all_active_calls() {
    let Some(python) = Language::python_with_requests().await else {
        return;
    };
    let local = Local::running().await;
    let ids = [
        local.app.place_answered().await,
        local.app.place_answered().await,
    ];

    let output = python.run(&local.example(END_ALL_PY)).await;

    // Newest first.
    let [older, newer] = &ids;
    let expected =
        format!("Ending 2 active calls...\n✓ Ended call {newer}\n✓ Ended call {older}\n");
    assert_eq!(succeeded(&output), expected);
    for id in &ids {
        local.app.wait_for_status(id, "completed").await;
        books::assert_ended_once(&local.app, id).await;
    }
    let output = python.run(&local.example(END_ALL_PY)).await;
    assert_eq!(succeeded(&output), "Ending 0 active calls...\n");

    // A provider that fails for now is what the example's other branch is for.
    let id = local.app.place_answered().await;
    let unable = json!({"code": 20404, "message": "Unable to fetch record", "status": 404});
    let respond = json!({"respond": {"status": 404, "body": unable}});
    local.app.fault("hangup", 1, &respond).await;
    let output = python.run(&local.example(END_ALL_PY)).await;
    let failed = format!("✗ Failed to end {id}: Twilio API error: Unable to fetch record\n");
    assert_eq!(
        succeeded(&output),
        format!("Ending 1 active calls...\n{failed}")
    );
    local.app.wait_for_status(&id, "completed").await;
    local.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_example_ends_all_active_calls() {
    let Some(shell) = Language::bash_with_curl_and_jq().await else {
        return;
    };
    let local = Local::running().await;
    let ids = [
        local.app.place_answered().await,
        local.app.place_answered().await,
    ];

    let output = shell.run(&local.example(END_ALL_SH)).await;

    let [older, newer] = &ids;
    let of = |id: &str| {
        format!(
            r#"Ending call: {id}
{{"success":true,"message":"Call {id} ended"}}"#
        )
    };
    let (first, second) = (of(newer), of(older));
    let expected = format!("Ending all active calls...\n{first}{second}All calls ended\n");
    assert_eq!(succeeded(&output), expected);
    for id in &ids {
        local.app.wait_for_status(id, "completed").await;
        books::assert_ended_once(&local.app, id).await;
    }
    assert!(local.active().await.is_empty());
    local.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flask_example_ends_the_call_that_its_webhook_names() {
    let Some(python) = Language::python_with_flask().await else {
        return;
    };
    let local = Local::running().await;
    let id = local.app.place_answered().await;
    let example = local.example(WEBHOOK_PY);
    let script = format!(
        "{example}
client = app.test_client()
for body in ({{'call_id': '{id}'}}, {{'call_id': '{UNKNOWN}'}}):
    print(client.post('/webhook/end-call', json=body).get_json())
"
    );

    let output = python.run(&script).await;

    let mut lines: Vec<&str> = succeeded(&output).lines().collect();
    lines.retain(|line| line.contains("success"));
    let ended = format!("Call {id} ended");
    assert!(
        lines[0].contains("True") && lines[0].contains(&ended),
        "{lines:?}"
    );
    assert!(
        lines[1].contains("False") && lines[1].contains("Call not found"),
        "{lines:?}"
    );
    local.app.wait_for_status(&id, "completed").await;
    local.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_polls_until_the_call_has_ended() {
    let Some(python) = Language::python_with_requests().await else {
        return;
    };
    let local = Local::running().await;
    let script = sooner(&local.example(POLL_PY), "time.sleep(2)", "time.sleep(0.2)");
    let far_end = async {
        // Looked at through the other node: this one counts the script's questions.
        let list = || async { local.app.client.get("/api/calls").await.json() };
        let list = wait_for("the call", list, |list| list["count"] == 1).await;
        let id = list["calls"][0]["call_id"].as_str().expect("an id");
        local.app.wait_for_status(id, "in-progress").await;
        let asked = local.lists().await;
        wait_for("two polls", || local.lists(), |lists| *lists >= asked + 2).await;
        books::party(&local.app, id, "hangup").await
    };

    let (output, party) = tokio::join!(python.run(&script), far_end);

    assert_eq!(party, 200);
    let lines: Vec<&str> = succeeded(&output).lines().collect();
    let (last, polls) = lines.split_last().expect("lines");
    assert_eq!(*last, "Call ended");
    assert!(polls.contains(&"Call status: in-progress"), "{lines:?}");
    let known = ["initiating", "ringing", "in-progress"];
    let is_known = |line: &&&str| {
        known
            .iter()
            .any(|status| **line == format!("Call status: {status}"))
    };
    assert!(polls.iter().all(|line| is_known(&line)), "{lines:?}");
    local.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_example_shows_the_active_calls() {
    let Some(node) = Language::node_modules().await else {
        return;
    };
    let local = Local::running().await;
    let ids = [
        local.app.place_answered().await,
        local.app.place_answered().await,
    ];
    let example = sooner(&local.example(DASHBOARD_JS), "}, 3000);", "}, 100);");
    // What a browser has, and an end when the list was shown.
    let script = format!(
        "const elements = {{}};
globalThis.document = {{ getElementById: id => elements[id] ??= {{}} }};
{example}
setInterval(() => {{
  if (elements['call-list']?.innerHTML === undefined) return;
  console.log(elements['call-count'].textContent, elements['call-list'].innerHTML);
  process.exit(0);
}}, 20);
"
    );

    let output = node.run(&script).await;

    let words = succeeded(&output)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let item = |id: &String| {
        format!(
            r#"<div class="call-item"> <span class="call-id">{id}</span> <span class="call-status">in-progress</span> <span class="call-direction">outbound</span> <button onclick="endCall('{id}')">End Call</button> </div>"#
        )
    };
    assert_eq!(words, format!("2 {} {}", item(&ids[1]), item(&ids[0])));
    local.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_load_example_calls_until_there_are_enough() {
    let Some(python) = Language::python_with_requests().await else {
        return;
    };
    let local = Local::running().await;
    let example = local.example(LOAD_PY);
    let output = python.run(&example).await;
    assert_eq!(succeeded(&output), "Call initiated\n");
    for _ in 0..9 {
        local.app.place().await;
    }
    assert_eq!(local.active().await.len(), 10);

    let output = python.run(&example).await;

    assert_eq!(succeeded(&output), "Server at capacity, try again later\n");
    assert_eq!(local.active().await.len(), 10);
    local.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_curl_example_cancels_a_call() {
    let Some(shell) = Language::shell_with_curl().await else {
        return;
    };
    let app = TestApp::running().await;
    let id = app.place_answered().await;
    let sid = super::sid(&app, &id).await;
    let example = ADMIN_CANCEL_SH
        .replace(
            "https://your-domain.com",
            &format!("http://{}", app.node.address),
        )
        .replace("call_abc123", &sid);
    let wrong = shell.run(&example).await;
    let refused = r#"{"ok":false,"error":"Send the admin token: X-Admin-Token"}"#;
    assert_eq!(succeeded(&wrong), refused);

    let script = example.replace("your-admin-token", ADMIN_TOKEN);
    let output = shell.run(&script).await;

    let canceled = format!(r#"{{"ok":true,"message":"Call {sid} canceled"}}"#);
    assert_eq!(succeeded(&output), canceled);
    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["ended_reason"], "admin_cancel");
    let over = r#"{"ok":false,"error":"Call not found or already ended"}"#;
    assert_eq!(succeeded(&shell.run(&script).await), over);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}
