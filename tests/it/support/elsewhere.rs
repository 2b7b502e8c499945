//! Calls that other software places on the tenant's accounts, and a second account of another
//! provider.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use onhook::{
    app::organizations::{self, NewAccount},
    domain::{ProviderAccountId, provider::ProviderKind},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{app::TestApp, client::Reply};

/// The connection that [`Second::connect`] connects.
const CONNECTION: &str = "1494404757140276705";

/// An account of the tenant's at the second provider.
pub struct Second {
    pub account_id: ProviderAccountId,
    api_key: String,
}

impl Second {
    pub async fn connect(app: &TestApp) -> Self {
        let secret = app.ambient.entropy.uuid().to_string();
        let body = json!({"provider": "telnyx", "external_id": CONNECTION, "secret": secret});
        let registered = app.sim.post("/_sim/accounts", &body).await.json();
        let credentials = registered["credentials"].clone();
        let account = NewAccount {
            provider: ProviderKind::Telnyx,
            name: "Second".to_owned(),
            external_id: CONNECTION.to_owned(),
            api_base_url: Some(format!("{}/telnyx", app.simulator.base_url())),
            simulated: true,
            credentials: credentials.clone(),
            number: "+15550110".parse().expect("a number"),
            agent_id: app.tenant.agent_id,
            rate: Some(organizations::demo_rate(&app.app)),
        };
        let account_id = organizations::connect_account(&app.app, app.tenant.scope, account).await;
        Self {
            account_id: account_id.expect("an account"),
            api_key: credentials["api_key"].as_str().expect("a key").to_owned(),
        }
    }

    /// Places a call of the tenant's through the account and returns its id.
    pub async fn place(&self, app: &TestApp) -> String {
        let body = json!({
            "agent_id": app.tenant.agent_id, "to": "+15550101",
            "provider_account_id": self.account_id,
        });
        let reply = app.client.post("/api/v1/calls", &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Other software dials, with this reference; the provider's name for the call.
    pub async fn dial_elsewhere(&self, app: &TestApp, reference: Option<&str>) -> String {
        let mut body = json!({"connection_id": CONNECTION, "to": "+15550142", "from": "+15550110"});
        if let Some(reference) = reference {
            body["client_state"] = BASE64_STANDARD.encode(reference).into();
        }
        let bearer = format!("Bearer {}", self.api_key);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        let reply = app
            .sim
            .send(
                Method::POST,
                "/telnyx/v2/calls",
                &headers,
                &body.to_string(),
            )
            .await;
        named(&reply, 200, "/data/call_control_id")
    }
}

/// Other software dials through the tenant's first account; the provider's name for the call.
pub async fn dial_elsewhere(app: &TestApp) -> String {
    let (sid, secret) = (&app.tenant.account_sid, &app.tenant.auth_token);
    let path = format!("/twilio/2010-04-01/Accounts/{sid}/Calls.json");
    let basic = format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{sid}:{secret}"))
    );
    let headers = [
        ("authorization", basic.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let form =
        "To=%2B15550142&From=%2B15550100&Twiml=%3CResponse%3E%3CPause%2F%3E%3C%2FResponse%3E";
    let reply = app.sim.send(Method::POST, &path, &headers, form).await;
    named(&reply, 201, "/sid")
}

fn named(reply: &Reply, status: u16, pointer: &str) -> String {
    assert_eq!(reply.status, status, "{}", reply.text);
    let json: Value = reply.json();
    let name = json.pointer(pointer).and_then(Value::as_str);
    name.expect("a name").to_owned()
}

/// How the provider sees the call that it gave this name.
pub async fn at_provider(app: &TestApp, name: &str) -> Value {
    app.sim.get(&format!("/_sim/calls/{name}")).await.json()
}

/// Scripts a fault of the second provider.
pub async fn fault(app: &TestApp, operation: &str, times: u32, how: Value) {
    let mut fault = json!({"provider": "telnyx", "operation": operation, "times": times});
    let members = how.as_object().expect("an object").clone();
    fault.as_object_mut().expect("an object").extend(members);
    let reply = app.sim.post("/_sim/faults", &fault).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
}
