//! The same operations through SIP bridges, each against its face, with nothing in between that
//! knows which it is.

mod asterisk;
mod feed;
mod jambonz;
mod plain;
mod real;

use onhook::{
    app::organizations::{self, NewAccount},
    domain::{ProviderAccountId, provider::ProviderKind},
    simulator::SimulatedAccount,
};
use serde_json::{Value, json};

use crate::support::{app::TestApp, client::Reply, wait::wait_for};

const NUMBER: &str = "+15550130";

/// The simulated account of that name, connected with a number for the tenant's agent.
async fn connect(app: &TestApp, name: &str) -> ProviderAccountId {
    connect_with(app, name, |_| {}).await
}

/// The same, with other credentials than the simulator's own.
async fn connect_with(
    app: &TestApp,
    name: &str,
    change: impl FnOnce(&mut Value),
) -> ProviderAccountId {
    let account = SimulatedAccount {
        provider: ProviderKind::Sip,
        external_id: name.to_owned(),
        secret: app.ambient.entropy.uuid().to_string(),
        incoming_url: None,
    };
    let mut credentials = account.credentials();
    let body =
        json!({"provider": "sip", "external_id": account.external_id, "secret": account.secret});
    let registered = app.sim.post("/_sim/accounts", &body).await;
    assert_eq!(registered.json()["credentials"], credentials);
    change(&mut credentials);
    let connected = NewAccount {
        provider: ProviderKind::Sip,
        name: "Bridge".to_owned(),
        external_id: account.external_id.clone(),
        api_base_url: Some(format!("{}/sip", app.simulator.base_url())),
        simulated: true,
        credentials,
        number: NUMBER.parse().expect("a number"),
        agent_id: app.tenant.agent_id,
        rate: Some(organizations::demo_rate(&app.app)),
    };
    let id = organizations::connect_account(&app.app, app.tenant.scope, connected)
        .await
        .expect("an account");
    // Where it reports calls that come in is known only now; an Asterisk's events need no address.
    if name.parse::<uuid::Uuid>().is_ok() {
        let url = format!("http://{}/callbacks/sip/{id}", app.node.address);
        let body = json!({
            "provider": "sip", "external_id": account.external_id, "secret": account.secret,
            "incoming_url": url,
        });
        assert_eq!(app.sim.post("/_sim/accounts", &body).await.status, 201);
    }
    id
}

async fn place(app: &TestApp, account: ProviderAccountId) -> String {
    let body = json!({
        "agent_id": app.tenant.agent_id, "to": "+15550101", "provider_account_id": account,
    });
    let reply = app.client.post("/api/v1/calls", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    assert_eq!(reply.json()["from"], NUMBER);
    reply.json()["id"].as_str().expect("an id").to_owned()
}

async fn place_answered(app: &TestApp, account: ProviderAccountId) -> String {
    let id = place(app, account).await;
    app.wait_for_status(&id, "in-progress").await;
    id
}

/// A call comes in; the bridge's name for it.
async fn call_in(app: &TestApp, name: &str, to: &str) -> String {
    let body = json!({"provider": "sip", "account": name, "to": to, "from": "+15550199"});
    let reply = app.sim.post("/_sim/inbound", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()["id"].as_str().expect("an id").to_owned()
}

/// The call that the bridge has under that name, once it is known, as the API shows it.
async fn received(app: &TestApp, at_bridge: &str) -> Value {
    let known = |call: &Value| call["call_sid"] == at_bridge;
    wait_for("the call that came in", || app.call(at_bridge), known).await
}

async fn terminate(app: &TestApp, id: &str) -> Reply {
    let path = format!("/api/v1/calls/{id}/terminate");
    app.client.post_nothing(&path).await
}

async fn fault(app: &TestApp, operation: &str, times: u32, how: Value) {
    let mut fault = json!({"provider": "sip", "operation": operation, "times": times});
    let members = how.as_object().expect("an object").clone();
    fault.as_object_mut().expect("an object").extend(members);
    let reply = app.sim.post("/_sim/faults", &fault).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
}

/// Calls do nothing by themselves from now on.
async fn stand_still(app: &TestApp) {
    let still = json!({"ring_after_ms": null, "answer_after_ms": null});
    assert_eq!(app.sim.post("/_sim/script", &still).await.status, 200);
}

async fn seen(app: &TestApp, at_bridge: &str) -> Value {
    app.sim
        .get(&format!("/_sim/calls/{at_bridge}"))
        .await
        .json()
}

async fn wait_for_state(app: &TestApp, at_bridge: &str, state: &str) -> Value {
    let done = |call: &Value| call["state"] == state;
    let what = format!("the bridge's call to be {state}");
    wait_for(&what, || seen(app, at_bridge), done).await
}

/// The far end, or the network, acts.
async fn party(app: &TestApp, at_bridge: &str, act: &str, details: &Value) {
    let path = format!("/_sim/calls/{at_bridge}/{act}");
    let reply = app.sim.post(&path, details).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

/// That the call was told to have ended once, for `reason` and from `side`; what the bridge said
/// of it, as it said it.
async fn assert_ended_once(app: &TestApp, id: &str, reason: &str, side: &str) -> Value {
    let call = app.call(id).await;
    assert_eq!(call["ended_reason"], reason, "{call}");
    assert_eq!(call["end"]["side"], side, "{call}");
    let events = app.client.get(&format!("/api/v1/calls/{id}/events")).await;
    let events = events.json();
    let events = events["items"].as_array().expect("events");
    let is_end = |event: &&Value| event["type"] == "event_phone_call_ended";
    assert_eq!(events.iter().filter(is_end).count(), 1, "{events:?}");
    call["end"]["provider_cause"].clone()
}

fn assert_success(reply: &Reply) {
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(
        reply.text,
        r#"{"success":true,"message":"Call terminated successfully via sip"}"#
    );
}
