//! Accounts at any provider, for what holds at all of them.

use onhook::{
    app::organizations::{self, NewAccount},
    domain::{ProviderAccountId, provider::ProviderKind},
    simulator::SimulatedAccount,
};
use serde_json::json;

use super::app::TestApp;

/// An account at a provider, with a number of the tenant's agent.
pub struct Line {
    pub id: ProviderAccountId,
    pub provider: &'static str,
    pub account: String,
    pub number: &'static str,
}

/// Connects a second account, at `provider`, which reports to the test's node.
pub async fn connect(app: &TestApp, provider: ProviderKind) -> Line {
    connect_to(app, provider, false, &app.client.url("")).await
}

/// Connects an account at `provider`, or `another`, which reports calls that come in to the node
/// whose public URL is `public_url`.
pub async fn connect_to(
    app: &TestApp,
    provider: ProviderKind,
    another: bool,
    public_url: &str,
) -> Line {
    let (external_id, number) = names(provider, another);
    let name = provider.as_str();
    let account = SimulatedAccount {
        provider,
        external_id: external_id.to_owned(),
        secret: app.ambient.entropy.uuid().simple().to_string(),
        incoming_url: None,
    };
    let new = NewAccount {
        provider,
        name: "Second".to_owned(),
        external_id: external_id.to_owned(),
        api_base_url: Some(format!("{}/{name}", app.simulator.base_url())),
        simulated: true,
        credentials: account.credentials(),
        number: number.parse().expect("a number"),
        agent_id: app.tenant.agent_id,
        // The tenant has a price at the first provider, and one account's is the other's.
        rate: (provider != ProviderKind::Twilio && !another)
            .then(|| organizations::demo_rate(&app.app)),
    };
    let id = organizations::connect_account(&app.app, app.tenant.scope, new)
        .await
        .expect("an account");
    app.simulator.admit(SimulatedAccount {
        incoming_url: Some(format!("{public_url}/callbacks/{name}/{id}")),
        ..account
    });
    Line {
        id,
        provider: name,
        account: external_id.to_owned(),
        number,
    }
}

/// A name that the provider could have for an account, and a number.
fn names(provider: ProviderKind, another: bool) -> (&'static str, &'static str) {
    match (provider, another) {
        (ProviderKind::Twilio, false) => ("AC0123456789abcdef0123456789abcdef", "+15550160"),
        (ProviderKind::Twilio, true) => ("AC0123456789abcdef0123456789abcde0", "+15550170"),
        (ProviderKind::Telnyx, false) => ("1494404757140276705", "+15550161"),
        (ProviderKind::Telnyx, true) => ("1494404757140276706", "+15550171"),
        (ProviderKind::Vonage, false) => ("aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab", "+15550162"),
        (ProviderKind::Vonage, true) => ("aaaaaaaa-bbbb-4ccc-8ddd-0123456789ac", "+15550172"),
        (ProviderKind::Openai, false) => ("proj_0123456789abcdef", "+15550163"),
        (ProviderKind::Openai, true) => ("proj_0123456789abcdee", "+15550173"),
        // Bridges that need nobody to listen first.
        (ProviderKind::Sip, false) => ("0b1c2d3e-0000-4000-8000-000000000003", "+15550164"),
        (ProviderKind::Sip, true) => ("0b1c2d3e-0000-4000-8000-000000000004", "+15550174"),
    }
}

impl Line {
    /// The tenant calls somebody through the account; our id of the call.
    pub async fn place(&self, app: &TestApp) -> String {
        let body = json!({
            "agent_id": app.tenant.agent_id, "to": "+15550101", "provider_account_id": self.id,
        });
        let reply = app.client.post("/api/v1/calls", &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Somebody calls `to`. The provider's name for the call.
    pub async fn ring(&self, app: &TestApp, to: &str) -> String {
        let body = json!({
            "provider": self.provider, "account": self.account, "to": to, "from": "+15550177",
        });
        let reply = app.sim.post("/_sim/inbound", &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply.json()["id"].as_str().expect("an id").to_owned()
    }
}
