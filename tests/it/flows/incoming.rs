//! Calls that come in: recorded before they are answered, answered in the provider's own form, ended
//! by anybody; turned away when nobody has the number; told of in any order.

use onhook::{
    app::organizations::{self, NewAccount},
    domain::provider::ProviderKind,
    simulator::SimulatedAccount,
};
use serde_json::{Value, json};

use crate::support::{app::TestApp, wait::wait_for};

/// A provider's account whose calls come in to the tenant's agent.
struct Line {
    provider: &'static str,
    account: String,
    number: &'static str,
}

async fn connect(app: &TestApp, provider: ProviderKind) -> Line {
    let (external_id, number) = match provider {
        ProviderKind::Twilio => ("AC0123456789abcdef0123456789abcdef", "+15550160"),
        ProviderKind::Telnyx => ("1494404757140276705", "+15550161"),
        ProviderKind::Vonage => ("aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab", "+15550162"),
        ProviderKind::Openai => ("proj_0123456789abcdef", "+15550163"),
    };
    let name = provider.as_str();
    let account = SimulatedAccount {
        provider,
        external_id: external_id.to_owned(),
        secret: app.ambient.entropy.uuid().simple().to_string(),
        incoming_url: None,
    };
    let new = NewAccount {
        provider,
        name: "Incoming".to_owned(),
        external_id: external_id.to_owned(),
        api_base_url: Some(format!("{}/{name}", app.simulator.base_url())),
        simulated: true,
        credentials: account.credentials(),
        number: number.parse().expect("a number"),
        agent_id: app.tenant.agent_id,
        rate: Some(organizations::demo_rate(&app.app)),
    };
    let id = organizations::connect_account(&app.app, app.tenant.scope, new)
        .await
        .expect("an account");
    app.simulator.admit(SimulatedAccount {
        incoming_url: Some(app.client.url(&format!("/callbacks/{name}/{id}"))),
        ..account
    });
    Line {
        provider: name,
        account: external_id.to_owned(),
        number,
    }
}

impl Line {
    /// Somebody calls `to`. The provider's name for the call.
    async fn ring(&self, app: &TestApp, to: &str) -> String {
        let body = json!({
            "provider": self.provider, "account": self.account, "to": to, "from": "+15550177",
        });
        let reply = app.sim.post("/_sim/inbound", &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply.json()["id"].as_str().expect("an id").to_owned()
    }
}

const EVERY: [ProviderKind; 4] = [
    ProviderKind::Twilio,
    ProviderKind::Telnyx,
    ProviderKind::Vonage,
    ProviderKind::Openai,
];

async fn at_provider(app: &TestApp, sid: &str) -> Value {
    app.sim.get(&format!("/_sim/calls/{sid}")).await.json()
}

/// The call as it is once it has `status`.
async fn becomes(app: &TestApp, sid: &str, status: &str) -> Value {
    let read = async || {
        let reply = app.client.get(&format!("/api/v1/calls/{sid}")).await;
        reply.json()
    };
    let has = |call: &Value| call["status"] == status;
    wait_for("the call's status", read, has).await
}

async fn event_types(app: &TestApp, sid: &str) -> Vec<String> {
    let reply = app.client.get(&format!("/api/v1/calls/{sid}/events")).await;
    let events = reply.json()["items"].as_array().expect("events").clone();
    let types = events.iter().map(|event| event["type"].as_str());
    types.map(|kind| kind.expect("a type").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incoming_call_is_answered_by_the_numbers_agent_and_ended_by_us() {
    let app = TestApp::running().await;
    for provider in EVERY {
        let line = connect(&app, provider).await;
        let sid = line.ring(&app, line.number).await;
        let call = becomes(&app, &sid, "in-progress").await;
        assert_eq!(call["direction"], "inbound");
        assert_eq!(call["from"], "+15550177");
        assert_eq!(call["to"], line.number);
        assert_eq!(call["agent_id"], json!(app.tenant.agent_id));
        let answered = |seen: &Value| seen["state"] == "in-progress";
        wait_for("the answer", || at_provider(&app, &sid), answered).await;

        let path = format!("/api/v1/calls/{sid}/end");
        let reply = app.client.post_nothing(&path).await;
        assert_eq!(reply.status, 200, "{}", reply.text);

        let call = becomes(&app, &sid, "completed").await;
        let at_telnyx_spoken = call["ended_reason"] == "agent_hangup";
        assert!(
            call["ended_reason"] == "ended_by_api" || at_telnyx_spoken,
            "{call}"
        );
        assert_eq!(call["end"]["side"], "local");
        assert_eq!(at_provider(&app, &sid).await["hangups_carried_out"], 1);
        let types = event_types(&app, &sid).await;
        let ended = types
            .iter()
            .filter(|kind| *kind == "event_phone_call_ended");
        assert_eq!(ended.count(), 1, "{types:?}");
        assert_eq!(
            types[..3],
            [
                "event_phone_call_started",
                "event_phone_call_ringing",
                "event_phone_call_connected",
            ]
        );
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_hangs_up_ends_the_call() {
    let app = TestApp::running().await;
    let line = connect(&app, ProviderKind::Twilio).await;
    let sid = line.ring(&app, line.number).await;
    becomes(&app, &sid, "in-progress").await;
    let in_progress = |seen: &Value| seen["state"] == "in-progress";
    wait_for("the answer", || at_provider(&app, &sid), in_progress).await;

    let reply = app
        .sim
        .post(&format!("/_sim/calls/{sid}/hangup"), &json!({}))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text);

    let call = becomes(&app, &sid, "completed").await;
    assert_eq!(call["ended_reason"], "remote_hangup");
    assert_eq!(call["end"]["side"], "remote");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentence_is_spoken_to_the_caller_and_then_the_call_is_over() {
    let app = TestApp::running().await;
    let line = connect(&app, ProviderKind::Telnyx).await;
    let sid = line.ring(&app, line.number).await;

    let call = becomes(&app, &sid, "completed").await;

    assert_eq!(call["ended_reason"], "agent_hangup");
    assert_eq!(call["end"]["initiator"], "system:instructions");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_nobody_has_is_turned_away() {
    let app = TestApp::running().await;
    for provider in EVERY {
        let line = connect(&app, provider).await;
        let sid = line.ring(&app, "+15550199").await;
        let over = |seen: &Value| !seen["ended_at"].is_null();
        let seen = wait_for("the rejection", || at_provider(&app, &sid), over).await;
        assert_eq!(seen["answered_at"], Value::Null);
        let reply = app.client.get(&format!("/api/v1/calls/{sid}")).await;
        assert_eq!(reply.status, 404, "{}", reply.text);
    }
    app.stop().await;
}
