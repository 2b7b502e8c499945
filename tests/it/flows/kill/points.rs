//! A node that is killed at each point between a wish and its outcome: the next one carries on.

use onhook::domain::provider::ProviderKind;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::{io::AsyncReadExt, net::TcpListener};

use super::process::NodeProcess;
use crate::{
    flows::books,
    support::{
        app::{HELD, TestApp},
        client::Reply,
        line::connect,
        wait::{wait_at_most, wait_for},
    },
};

async fn place(app: &TestApp, node: &NodeProcess) -> String {
    let body = json!({"agent_id": app.tenant.agent_id, "to": "+15550101"});
    let reply = node.client.post("/api/v1/calls", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()["id"].as_str().unwrap().to_owned()
}

pub(super) async fn place_answered(app: &TestApp, node: &NodeProcess) -> String {
    let id = place(app, node).await;
    app.wait_for_status(&id, "in-progress").await;
    id
}

/// Asks for the end of the call and stays until the answer or the node's death, whichever is
/// first: `meanwhile` ends with the death.
async fn end_and_die(node: &mut NodeProcess, id: &str, meanwhile: impl Future<Output = ()>) {
    let path = format!("/api/v1/calls/{id}/end");
    let client = node.client.clone();
    let (answer, ()) = tokio::join!(client.try_send(Method::POST, &path, &[], ""), async {
        meanwhile.await;
        node.kill().await;
    });
    assert!(answer.is_err(), "nobody was told: {answer:?}");
}

/// The wish is durable and nothing is known to have come of it.
async fn assert_wished(app: &TestApp, id: &str) -> Value {
    let call = app.call(id).await;
    assert_eq!(call["status"], "in-progress");
    assert_eq!(call["end"]["state"], "requested");
    assert_eq!(call["end"]["attempts"], 0);
    call["end"]["requested_at"].clone()
}

/// The next node ends the call as it was wished.
async fn assert_carried_out(app: &TestApp, id: &str, wished_at: &Value) {
    let call = app.wait_for_status(id, "completed").await;
    assert_eq!(call["ended_at"], *wished_at);
    assert_eq!(call["ended_reason"], "ended_by_api");
    assert_eq!(app.at_provider(id).await["hangups_carried_out"], 1);
    books::assert_ended_once(app, id).await;
}

async fn drop_callbacks(app: &TestApp) {
    app.fault("callback", 0, &json!({"drop": true})).await;
}

/// Where the tenant's provider is found from now on, once accounts that are remembered are not.
async fn move_provider(app: &TestApp, url: &str) {
    let statement = "UPDATE provider_accounts SET api_base_url = $1 WHERE id = $2 RETURNING 1";
    let changed: i32 = sqlx::query_scalar(statement)
        .bind(url)
        .bind(app.tenant.account_id.0)
        .fetch_one(&mut app.database.as_owner().await)
        .await
        .unwrap();
    assert_eq!(changed, 1);
}

/// A provider that listens and never hears: it takes a request and tells that it came.
async fn deaf_provider(app: &TestApp) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    move_provider(app, &url).await;
    listener
}

async fn request_arrived(deaf: &TcpListener, word: &str) {
    let (mut stream, _) = deaf.accept().await.unwrap();
    let mut text = String::new();
    while !text.contains(word) {
        let mut some = [0; 4096];
        let count = stream.read(&mut some).await.unwrap();
        assert_ne!(count, 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&some[..count]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_before_the_provider_hears_of_the_wish() {
    let app = TestApp::looking_on().await;
    let mut node = NodeProcess::start(&app).await;
    let id = place_answered(&app, &node).await;
    let deaf = deaf_provider(&app).await;
    // It remembers where the provider was.
    node.restart().await;

    end_and_die(&mut node, &id, request_arrived(&deaf, "Status=completed")).await;
    drop(deaf);

    let wished_at = assert_wished(&app, &id).await;
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 0);
    move_provider(&app, &format!("{}/twilio", app.simulator.base_url())).await;
    node.restart().await;
    assert_carried_out(&app, &id, &wished_at).await;
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_while_the_provider_thinks() {
    let app = TestApp::looking_on().await;
    let mut node = NodeProcess::start(&app).await;
    let id = place_answered(&app, &node).await;
    drop_callbacks(&app).await;
    app.fault("hangup", 1, &json!({"delay_ms": HELD})).await;

    end_and_die(&mut node, &id, async {
        let heard = |there: &Value| there["hangup_requests"] == 1;
        wait_for("the hang-up", || app.at_provider(&id), heard).await;
    })
    .await;

    let wished_at = assert_wished(&app, &id).await;
    node.restart().await;
    assert_carried_out(&app, &id, &wished_at).await;
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 2);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_after_the_provider_acted_and_before_its_answer() {
    let app = TestApp::looking_on().await;
    let mut node = NodeProcess::start(&app).await;
    let id = place_answered(&app, &node).await;
    drop_callbacks(&app).await;
    let slow_answer = json!({"delay_ms": HELD, "when": "after"});
    app.fault("hangup", 1, &slow_answer).await;

    end_and_die(&mut node, &id, async {
        let acted = |there: &Value| there["state"] == "completed";
        wait_for("the hang-up", || app.at_provider(&id), acted).await;
    })
    .await;

    let wished_at = assert_wished(&app, &id).await;
    node.restart().await;
    assert_carried_out(&app, &id, &wished_at).await;
    let attempts = books::hang_ups(&app, &id).await;
    assert_eq!(attempts.len(), 1, "the one whose answer came");
    assert_eq!(attempts[0].provider_code.as_deref(), Some("21220"));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_before_the_outcome_is_durable() {
    let app = TestApp::looking_on().await;
    let mut node = NodeProcess::start(&app).await;
    let id = place_answered(&app, &node).await;
    drop_callbacks(&app).await;
    app.fault("hangup", 1, &json!({"delay_ms": HELD})).await;

    let mut row = None;
    end_and_die(&mut node, &id, async {
        let heard = |there: &Value| there["hangup_requests"] == 1;
        wait_for("the hang-up", || app.at_provider(&id), heard).await;
        row = Some(books::hold(&app, &id).await);
        app.release().await;
        let recording = |waiting: &i64| *waiting == 1;
        wait_for(
            "the outcome to be recorded",
            || books::blocked(&app, "apply_change"),
            recording,
        )
        .await;
    })
    .await;
    // A server process outlives its client while it waits for a lock.
    let mut row: PgConnection = row.unwrap();
    let statement = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let ended: i64 = sqlx::query_scalar(statement)
        .fetch_one(&mut row)
        .await
        .unwrap();
    assert_eq!(ended, 1);
    wait_for(
        "it to be gone",
        || books::blocked(&app, "apply_change"),
        |waiting| *waiting == 0,
    )
    .await;
    books::run(&mut row, "ROLLBACK").await;

    let wished_at = assert_wished(&app, &id).await;
    assert_eq!(app.at_provider(&id).await["state"], "completed");
    node.restart().await;
    assert_carried_out(&app, &id, &wished_at).await;
    app.stop().await;
}

/// The next node learns of the call, which can be ended, and nobody dials again.
async fn assert_placed_once(app: &TestApp, node: &NodeProcess, id: &str) {
    let placed = |call: &Value| call["call_sid"] != call["id"];
    wait_for("the provider's id", || app.call(id), placed).await;
    let path = format!("/api/v1/calls/{id}/terminate");
    let reply = node.client.post_nothing(&path).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    wait_for("the jobs", || books::jobs(app, id), Vec::is_empty).await;
    let there = books::provider_calls(app).await;
    assert_eq!(there.len(), 1, "{there:#?}");
    assert_eq!(there[0]["create_requests"], 1);
    assert_eq!(there[0]["hangups_carried_out"], 1);
    books::assert_ended_once(app, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_between_the_dial_and_its_answer_learns_of_the_call_by_callback() {
    let app = TestApp::looking_on().await;
    let mut node = NodeProcess::start(&app).await;
    let slow_answer = json!({"delay_ms": HELD, "when": "after"});
    app.fault("create", 1, &slow_answer).await;
    books::script(
        &app,
        &json!({"ring_after_ms": 1000, "answer_after_ms": 2000}),
    )
    .await;
    app.fault("callback", 1, &json!({"drop": true})).await;
    let id = place(&app, &node).await;
    wait_for(
        "the call at the provider",
        || books::provider_calls(&app),
        |calls| calls.len() == 1,
    )
    .await;

    node.restart().await;

    assert_placed_once(&app, &node, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_between_the_dial_and_its_answer_finds_the_call_by_looking() {
    let app = TestApp::looking_on().await;
    let mut node = NodeProcess::start(&app).await;
    drop_callbacks(&app).await;
    let slow_answer = json!({"delay_ms": HELD, "when": "after"});
    app.fault("create", 1, &slow_answer).await;
    let id = place(&app, &node).await;
    wait_for(
        "the call at the provider",
        || books::provider_calls(&app),
        |calls| calls.len() == 1,
    )
    .await;

    node.restart().await;

    assert_placed_once(&app, &node, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_every_provider_a_dial_whose_node_was_killed_is_found_and_not_repeated() {
    let app = TestApp::looking_on().await;
    let mut node = NodeProcess::start(&app).await;
    // They stand still, so that what is told first is all that is told.
    let still = json!({"ring_after_ms": null, "answer_after_ms": null});
    books::script(&app, &still).await;
    for provider in [
        ProviderKind::Telnyx,
        ProviderKind::Vonage,
        ProviderKind::Sip,
    ] {
        let line = connect(&app, provider).await;
        for (operation, how) in [
            ("create", json!({"delay_ms": HELD, "when": "after"})),
            ("callback", json!({"drop": true})),
        ] {
            let mut fault = json!({"provider": provider, "operation": operation, "times": 1});
            let members = fault.as_object_mut().expect("an object");
            members.extend(how.as_object().expect("an object").clone());
            let reply = app.sim.post("/_sim/faults", &fault).await;
            assert_eq!(reply.status, 201, "{}", reply.text);
        }
        let body = json!({
            "agent_id": app.tenant.agent_id, "to": "+15550101", "provider_account_id": line.id,
        });
        let reply = node.client.post("/api/v1/calls", &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        let id = reply.json()["id"].as_str().expect("an id").to_owned();
        let there = async || {
            let mut calls = books::provider_calls(&app).await;
            calls.retain(|call| call["provider"] == json!(provider));
            calls
        };
        let one = |calls: &Vec<Value>| calls.len() == 1;
        wait_for("the call at the provider", there, one).await;

        node.restart().await;

        let placed = |call: &Value| call["call_sid"] != call["id"];
        wait_for("the provider's id", || app.call(&id), placed).await;
        let path = format!("/api/v1/calls/{id}/terminate");
        let reply = node.client.post_nothing(&path).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        wait_for("the jobs", || books::jobs(&app, &id), Vec::is_empty).await;
        let there = there().await;
        assert_eq!(there.len(), 1, "{there:#?}");
        assert_eq!(there[0]["hangups_carried_out"], 1);
        books::assert_ended_once(&app, &id).await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_the_provider_carries_out_after_the_node_was_killed_is_found() {
    let app = TestApp::looking_on().await;
    let mut node = NodeProcess::start(&app).await;
    drop_callbacks(&app).await;
    app.fault("create", 1, &json!({"delay_ms": HELD})).await;
    let id = place(&app, &node).await;
    let heard = |stats: &Value| stats["creates"] == 1;
    wait_for("the dial", || books::stats(&app), heard).await;

    node.restart().await;
    app.release().await;

    assert_placed_once(&app, &node, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_the_provider_never_heard_of_is_given_up_and_not_repeated() {
    let app = TestApp::looking_on().await;
    let deaf = deaf_provider(&app).await;
    let mut node = NodeProcess::start(&app).await;
    let id = place(&app, &node).await;
    request_arrived(&deaf, "Calls.json").await;
    node.kill().await;
    move_provider(&app, &format!("{}/twilio", app.simulator.base_url())).await;
    // Instead of a minute of looking.
    let statement = "UPDATE calls SET dial_started_at = dial_started_at - interval '60 s'
        WHERE dial_state = 'in_flight' RETURNING 1";
    let changed: i32 = sqlx::query_scalar(statement)
        .fetch_one(&mut app.database.as_owner().await)
        .await
        .unwrap();
    assert_eq!(changed, 1);

    node.restart().await;

    let call = app.wait_for_status(&id, "failed").await;
    assert_eq!(call["ended_reason"], "platform_error");
    assert_eq!(books::stats(&app).await["creates"], 0);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_end_died_with_its_node_may_soon_ask_again_under_the_same_key() {
    let app = TestApp::looking_on().await;
    let mut node = NodeProcess::start(&app).await;
    let id = place_answered(&app, &node).await;
    app.fault("hangup", 1, &json!({"delay_ms": HELD})).await;
    let path = format!("/api/v1/calls/{id}/terminate");
    let key = [("idempotency-key", "the-same")];
    let client = node.client.clone();
    let (died, ()) = tokio::join!(client.try_send(Method::POST, &path, &key, ""), async {
        let heard = |there: &Value| there["hangup_requests"] == 1;
        wait_for("the hang-up", || app.at_provider(&id), heard).await;
        node.kill().await;
    });
    assert!(died.is_err(), "{died:?}");

    node.restart().await;
    let again = || client.send(Method::POST, &path, &key, "");
    // Sooner than any other key's, which is dead after 45 s.
    let taken_over = |reply: &Reply| reply.status != 409;
    let soon = std::time::Duration::from_secs(30);
    wait_at_most(soon, "the key to be free", again, taken_over).await;
    wait_for("the end", again, |reply: &Reply| reply.status == 200).await;
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}
