//! The same operations through Vonage, and what only it has: a question for instructions that also
//! tells where a call lives, a lost dial that nothing of ours marks, and 404 for whatever is over.

mod dials;
mod ends;
mod incoming;
mod webhooks;

use onhook::{
    app::organizations::{self, NewAccount},
    domain::{ProviderAccountId, provider::ProviderKind},
    simulator::SimulatedAccount,
};
use serde_json::{Value, json};

use crate::{
    flows::books,
    support::{app::TestApp, client::Reply, wait::wait_for},
};

const APPLICATION: &str = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab";

/// A connected application.
struct Connected {
    id: ProviderAccountId,
    credentials: Value,
}

/// Connects a simulated application with a number for the tenant's agent, to which calls can come.
async fn connect(app: &TestApp) -> Connected {
    let account = SimulatedAccount {
        provider: ProviderKind::Vonage,
        external_id: APPLICATION.to_owned(),
        secret: app.ambient.entropy.uuid().to_string(),
        incoming_url: None,
    };
    let credentials = account.credentials();
    let new = NewAccount {
        provider: ProviderKind::Vonage,
        name: "Third".to_owned(),
        external_id: account.external_id.clone(),
        api_base_url: Some(format!("{}/vonage", app.simulator.base_url())),
        simulated: true,
        credentials: credentials.clone(),
        number: "+15550120".parse().expect("a number"),
        agent_id: app.tenant.agent_id,
        rate: Some(organizations::demo_rate(&app.app)),
    };
    let id = organizations::connect_account(&app.app, app.tenant.scope, new)
        .await
        .expect("an account");
    let incoming_url = format!("http://{}/callbacks/vonage/{id}", app.node.address);
    let body = json!({
        "provider": "vonage", "external_id": account.external_id, "secret": account.secret,
        "incoming_url": incoming_url,
    });
    let registered = app.sim.post("/_sim/accounts", &body).await;
    assert_eq!(registered.json()["credentials"], credentials);
    Connected { id, credentials }
}

async fn place(app: &TestApp, account: &Connected) -> String {
    let body = json!({
        "agent_id": app.tenant.agent_id, "to": "+15550101", "provider_account_id": account.id,
    });
    let reply = app.client.post("/api/v1/calls", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    assert_eq!(reply.json()["from"], "+15550120");
    reply.json()["id"].as_str().expect("an id").to_owned()
}

/// Places a call that is answered and has been told what to do. A wish to end that came before the
/// question would be told in answer to it, and the call end by that.
async fn place_answered(app: &TestApp, account: &Connected) -> String {
    let id = place(app, account).await;
    app.wait_for_status(&id, "in-progress").await;
    let told = |seen: &Value| {
        let mut sent = seen["callbacks"].as_array().into_iter().flatten();
        sent.any(|sent| sent["event"] == "asks" && sent["answers"] == json!([200]))
    };
    wait_for("the question", || app.at_provider(&id), told).await;
    id
}

async fn terminate(app: &TestApp, id: &str) -> Reply {
    let path = format!("/api/v1/calls/{id}/terminate");
    app.client.post_nothing(&path).await
}

async fn fault(app: &TestApp, operation: &str, times: u32, how: Value) {
    let mut fault = json!({"provider": "vonage", "operation": operation, "times": times});
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
    books::script(app, &still).await;
}

fn assert_success(reply: &Reply) {
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(
        reply.text,
        r#"{"success":true,"message":"Call terminated successfully via vonage"}"#
    );
}

/// The call is over for this reason, by this side, for the provider's cause, and was ended once.
async fn assert_over(app: &TestApp, id: &str, reason: &str, side: &str, cause: &Value) {
    let call = app.call(id).await;
    assert_eq!(call["ended_reason"], reason, "{call}");
    assert_eq!(call["end"]["side"], side, "{call}");
    assert_eq!(&call["end"]["provider_cause"], cause, "{call}");
    books::assert_ended_once(app, id).await;
}
