//! The same operations through the second provider: what holds for one holds for the other, with
//! nothing in between that knows which it is.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signer as _, SigningKey};
use onhook::{
    app::organizations::{self, NewAccount},
    domain::{ProviderAccountId, provider::ProviderKind},
    simulator::SimulatedAccount,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{app::TestApp, client::Reply, wait::wait_for};

/// Connects a simulated account with a number for the tenant's agent. `public_key`: another than
/// the one that the simulator signs with.
async fn connect(app: &TestApp, public_key: Option<String>) -> ProviderAccountId {
    let account = SimulatedAccount {
        provider: ProviderKind::Telnyx,
        external_id: "1494404757140276705".to_owned(),
        secret: app.ambient.entropy.uuid().to_string(),
        incoming_url: None,
    };
    let mut credentials = account.credentials();
    let body =
        json!({"provider": "telnyx", "external_id": account.external_id, "secret": account.secret});
    let registered = app.sim.post("/_sim/accounts", &body).await;
    assert_eq!(registered.json()["credentials"], credentials);
    if let Some(key) = public_key {
        credentials["public_key"] = key.into();
    }
    let account = NewAccount {
        provider: ProviderKind::Telnyx,
        name: "Second".to_owned(),
        external_id: account.external_id,
        api_base_url: Some(format!("{}/telnyx", app.simulator.base_url())),
        simulated: true,
        credentials,
        number: "+15550110".parse().expect("a number"),
        agent_id: app.tenant.agent_id,
        rate: Some(organizations::demo_rate(&app.app)),
    };
    organizations::connect_account(&app.app, app.tenant.scope, account)
        .await
        .expect("an account")
}

async fn place(app: &TestApp, account: ProviderAccountId) -> String {
    let body = json!({
        "agent_id": app.tenant.agent_id, "to": "+15550101", "provider_account_id": account,
    });
    let reply = app.client.post("/api/v1/calls", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    assert_eq!(reply.json()["from"], "+15550110");
    reply.json()["id"].as_str().expect("an id").to_owned()
}

async fn place_answered(app: &TestApp, account: ProviderAccountId) -> String {
    let id = place(app, account).await;
    app.wait_for_status(&id, "in-progress").await;
    id
}

async fn terminate(app: &TestApp, id: &str) -> Reply {
    let path = format!("/api/v1/calls/{id}/terminate");
    app.client.post_nothing(&path).await
}

async fn fault(app: &TestApp, operation: &str, times: u32, how: Value) {
    let mut fault = json!({"provider": "telnyx", "operation": operation, "times": times});
    let members = how.as_object().expect("an object").clone();
    fault.as_object_mut().expect("an object").extend(members);
    let reply = app.sim.post("/_sim/faults", &fault).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
}

/// Waits until the provider's name for the call is known.
async fn named(app: &TestApp, id: &str) -> Value {
    let named = |call: &Value| call["call_sid"] != id;
    wait_for("the provider's name for the call", || app.call(id), named).await
}

/// Calls do nothing by themselves from now on.
async fn stand_still(app: &TestApp) {
    let still = json!({"ring_after_ms": null, "answer_after_ms": null});
    assert_eq!(app.sim.post("/_sim/script", &still).await.status, 200);
}

async fn party(app: &TestApp, id: &str, act: &str, details: &Value) {
    let sid = app.call(id).await["call_sid"]
        .as_str()
        .expect("a sid")
        .to_owned();
    let path = format!("/_sim/calls/{sid}/{act}");
    let reply = app.sim.post(&path, details).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

fn assert_success(reply: &Reply) {
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(
        reply.text,
        r#"{"success":true,"message":"Call terminated successfully via telnyx"}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_placed_answered_and_ended_and_its_end_is_proved_by_the_signed_event() {
    let app = TestApp::running().await;
    let account = connect(&app, None).await;
    let id = place_answered(&app, account).await;

    assert_success(&terminate(&app, &id).await);

    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["provider"], "telnyx");
    assert_eq!(call["ended_reason"], "ended_by_api");
    assert_eq!(call["end"]["confirmed_by"], "callback");
    let seen = app.at_provider(&id).await;
    assert_eq!(seen["hangup_requests"], 1);
    assert_eq!(seen["hangups_carried_out"], 1);
    assert_eq!(seen["create_requests"], 1);
    // The first account goes on beside it.
    let other = app.place_answered().await;
    assert_eq!(app.call(&other).await["provider"], "twilio");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ringing_call_that_is_ended_counts_as_canceled() {
    let app = TestApp::running().await;
    let account = connect(&app, None).await;
    stand_still(&app).await;
    let id = place(&app, account).await;

    assert_success(&terminate(&app, &id).await);

    app.wait_for_status(&id, "canceled").await;
    assert_eq!(app.at_provider(&id).await["state"], "canceled");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_that_fails_is_asked_again_until_it_succeeds() {
    let app = TestApp::running().await;
    let account = connect(&app, None).await;
    let id = place_answered(&app, account).await;
    fault(&app, "hangup", 2, json!({"respond": {"status": 503}})).await;

    let reply = terminate(&app, &id).await;
    assert!(
        reply.status == 200 || reply.json()["code"] == "HANGUP_RETRYING",
        "{}",
        reply.text
    );
    let call = app.wait_for_status(&id, "completed").await;

    assert_eq!(call["end"]["state"], "confirmed");
    let seen = app.at_provider(&id).await;
    assert_eq!(seen["hangup_requests"], 3);
    assert_eq!(seen["hangups_carried_out"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_of_a_call_that_is_over_already_succeeds_and_the_call_counts_as_answered() {
    let app = TestApp::by_hand().await;
    let account = connect(&app, None).await;
    let id = place_answered(&app, account).await;
    // Theirs are whole seconds.
    app.advance(5);
    // The far end's hanging up is never told.
    fault(&app, "callback", 1, json!({"drop": true})).await;
    party(&app, &id, "hangup", &json!({})).await;
    assert_eq!(app.call(&id).await["status"], "in-progress");

    assert_success(&terminate(&app, &id).await);

    let call = app.call(&id).await;
    assert_eq!(call["status"], "completed");
    assert_eq!(call["end"]["confirmed_by"], "fetch");
    assert_eq!(app.at_provider(&id).await["hangups_carried_out"], 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_far_ends_hanging_up_or_declining_is_told_and_named() {
    let app = TestApp::running().await;
    let account = connect(&app, None).await;
    let id = place_answered(&app, account).await;
    party(&app, &id, "hangup", &json!({})).await;
    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["ended_reason"], "remote_hangup");

    stand_still(&app).await;
    for (act, details, status, reason) in [
        ("busy", json!({}), "busy", "busy"),
        ("no-answer", json!({}), "no-answer", "no_answer"),
        ("fail", json!({"sip_code": 603}), "failed", "declined"),
    ] {
        let id = place(&app, account).await;
        named(&app, &id).await;
        party(&app, &id, act, &details).await;
        let call = app.wait_for_status(&id, status).await;
        assert_eq!(call["ended_reason"], reason, "{act}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_twice_or_forged_change_nothing() {
    let app = TestApp::running().await;
    let account = connect(&app, None).await;
    fault(&app, "callback", 1, json!({"forge": true})).await;
    fault(&app, "callback", 1, json!({"duplicate": true})).await;
    let id = place_answered(&app, account).await;
    assert_success(&terminate(&app, &id).await);

    let told = |seen: &Value| {
        seen["callbacks"]
            .as_array()
            .is_some_and(|all| all.len() == 5)
    };
    let seen = wait_for("every event", || app.at_provider(&id), told).await;
    let answers: Vec<(&str, &str, u64)> = seen["callbacks"]
        .as_array()
        .expect("callbacks")
        .iter()
        .map(|sent| {
            let answer = sent["answers"][0].as_u64().expect("an answer");
            let text = |name: &str| sent[name].as_str().expect("a text");
            (text("event"), text("copy"), answer)
        })
        .collect();
    assert_eq!(
        answers,
        [
            ("initiated", "forged", 403),
            ("initiated", "true", 204),
            ("answered", "true", 204),
            ("answered", "duplicate", 204),
            ("completed", "true", 204),
        ]
    );
    app.stop().await;
}

/// Sends the node an event about the call, signed by `key` as of `signed_at` (unix seconds).
async fn report(app: &TestApp, path: &str, event: &Value, key: &SigningKey, signed_at: i64) -> u16 {
    let body = event.to_string();
    let signature = key.sign(format!("{signed_at}|{body}").as_bytes());
    let signature = BASE64_STANDARD.encode(signature.to_bytes());
    let signed_at = signed_at.to_string();
    let headers = [
        ("content-type", "application/json"),
        ("telnyx-timestamp", signed_at.as_str()),
        ("telnyx-signature-ed25519", signature.as_str()),
    ];
    let client = app.client.with_token(None);
    client
        .send(Method::POST, path, &headers, &body)
        .await
        .status
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_must_be_signed_by_the_accounts_key_lately_and_for_the_call_of_its_url() {
    let app = TestApp::running().await;
    // The account's key is the test's: whatever the simulator signs is forged.
    let key = SigningKey::from_bytes(&[9; 32]);
    let public_key = BASE64_STANDARD.encode(key.verifying_key().as_bytes());
    let account = connect(&app, Some(public_key)).await;
    stand_still(&app).await;
    let id = place(&app, account).await;
    let call = named(&app, &id).await;
    let event = |about: &str| {
        json!({"data": {
            "record_type": "event", "event_type": "call.answered",
            "id": "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0",
            "occurred_at": app.ambient.now().to_string(),
            "payload": {
                "call_control_id": call["call_sid"], "connection_id": "1494404757140276705",
                "client_state": BASE64_STANDARD.encode(about),
            },
        }})
    };
    let path = format!("/callbacks/telnyx/{account}/calls/{id}");
    let now = app.ambient.now().unix_seconds();
    let other = SigningKey::from_bytes(&[8; 32]);

    assert_eq!(report(&app, &path, &event(&id), &other, now).await, 403);
    assert_eq!(report(&app, &path, &event(&id), &key, now - 302).await, 403);
    let stranger = app.ambient.entropy.uuid().to_string();
    assert_eq!(report(&app, &path, &event(&stranger), &key, now).await, 400);
    let elsewhere = format!("/callbacks/twilio/{account}/calls/{id}");
    assert_eq!(report(&app, &elsewhere, &event(&id), &key, now).await, 403);
    assert_eq!(app.call(&id).await["status"], "initiating");

    assert_eq!(report(&app, &path, &event(&id), &key, now).await, 204);
    assert_eq!(app.call(&id).await["status"], "in-progress");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_whose_answer_is_lost_is_found_by_our_reference_and_never_dialled_twice() {
    let app = TestApp::by_hand().await;
    let account = connect(&app, None).await;
    stand_still(&app).await;
    // Two more between the same numbers: only the reference tells them apart.
    let others = [place(&app, account).await, place(&app, account).await];
    for other in &others {
        named(&app, other).await;
    }
    fault(&app, "create", 1, json!({"reset": "after"})).await;
    fault(&app, "callback", 1, json!({"drop": true})).await;
    let id = place(&app, account).await;
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

    let all = app.sim.get("/_sim/calls").await.json();
    let all = all["calls"].as_array().expect("calls").clone();
    assert_eq!(all.len(), 3, "nothing rang twice");
    assert!(all.iter().all(|call| call["create_requests"] == 1));
    assert_eq!(app.at_provider(&id).await["id"], all[2]["id"]);
    assert_success(&terminate(&app, &id).await);
    app.wait_for_status(&id, "canceled").await;
    assert_eq!(app.at_provider(&id).await["state"], "canceled");
    for other in &others {
        assert_eq!(app.at_provider(other).await["state"], "queued");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_is_refused_is_told_with_its_reason() {
    let app = TestApp::running().await;
    let account = connect(&app, None).await;
    fault(&app, "create", 1, json!({"respond": {"status": 403}})).await;
    let id = place(&app, account).await;
    let call = app.wait_for_status(&id, "failed").await;
    assert_eq!(call["ended_reason"], "provider_rejected");
    app.stop().await;
}
