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

/// Connects a second account, at `provider`.
pub async fn connect(app: &TestApp, provider: ProviderKind) -> Line {
    let (external_id, number) = match provider {
        ProviderKind::Twilio => ("AC0123456789abcdef0123456789abcdef", "+15550160"),
        ProviderKind::Telnyx => ("1494404757140276705", "+15550161"),
        ProviderKind::Vonage => ("aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab", "+15550162"),
        ProviderKind::Openai => ("proj_0123456789abcdef", "+15550163"),
        // A bridge that needs nobody to listen first.
        ProviderKind::Sip => ("0b1c2d3e-0000-4000-8000-000000000003", "+15550164"),
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
        name: "Second".to_owned(),
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
        id,
        provider: name,
        account: external_id.to_owned(),
        number,
    }
}

impl Line {
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
