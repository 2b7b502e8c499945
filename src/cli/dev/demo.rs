//! The demonstration's keys and data: made at the first start, found at every other. What a data
//! directory of an older version lacks is made then.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use strum::VariantArray as _;

use super::Failure;
use crate::{
    ambient::Ambient,
    app::{
        Actor, App,
        actor::By,
        callers,
        organizations::{self, NewAccount, TokenGrant},
        webhook_endpoints::{self, NewEndpoint},
    },
    boot::Node,
    domain::{
        AgentId, OrgScope, OrganizationId, ProviderAccountId, WebhookEndpointId,
        agent::AgentSettings,
        provider::ProviderKind,
        token::{Environment, Scope},
        webhook::endpoint::DEFAULT_TIMEOUT_SECONDS,
    },
    simulator::{Receiver, SimulatedAccount, Simulator},
};

/// What secrets are sealed and hashed with, and the simulated accounts' own.
#[derive(Serialize, Deserialize)]
pub(super) struct Keys {
    pub(super) secret_key: String,
    pub(super) token_pepper: String,
    pub(super) admin_token: String,
    pub(super) twilio_account_sid: String,
    pub(super) twilio_auth_token: String,
    /// Empty in the file of an older version, until it is made.
    #[serde(default)]
    pub(super) telnyx_connection_id: String,
    #[serde(default)]
    pub(super) telnyx_secret: String,
    #[serde(default)]
    pub(super) sip_secret: String,
}

impl Keys {
    /// The simulated accounts, one for each provider.
    pub(super) fn accounts(&self) -> Vec<SimulatedAccount> {
        ProviderKind::VARIANTS
            .iter()
            .map(|provider| {
                let (external_id, secret) = match provider {
                    ProviderKind::Twilio => {
                        (self.twilio_account_sid.as_str(), &self.twilio_auth_token)
                    }
                    ProviderKind::Telnyx => {
                        (self.telnyx_connection_id.as_str(), &self.telnyx_secret)
                    }
                    ProviderKind::Sip => (SIP_APP, &self.sip_secret),
                };
                SimulatedAccount {
                    provider: *provider,
                    external_id: external_id.to_owned(),
                    secret: secret.clone(),
                    incoming_url: None,
                }
            })
            .collect()
    }
}

/// The Stasis application of the simulated Asterisk.
const SIP_APP: &str = "onhook";

/// The agent's number on the account of a provider.
fn number(provider: ProviderKind) -> &'static str {
    match provider {
        ProviderKind::Twilio => "+15550100",
        ProviderKind::Telnyx => "+15550110",
        ProviderKind::Sip => "+15550130",
    }
}

/// The demonstration's organisation.
#[derive(Serialize, Deserialize)]
pub(super) struct Demo {
    pub(super) organization_id: OrganizationId,
    pub(super) agent_id: AgentId,
    pub(super) token: String,
    pub(super) twilio_account_id: ProviderAccountId,
    /// Absent in the file of an older version, until it is connected.
    #[serde(default)]
    pub(super) telnyx_account_id: Option<ProviderAccountId>,
    #[serde(default)]
    pub(super) sip_account_id: Option<ProviderAccountId>,
    pub(super) webhook_endpoint_id: WebhookEndpointId,
    pub(super) webhook_secret: String,
}

/// `dev.json`: all that a script needs to talk to the running demonstration.
#[derive(Serialize)]
pub(super) struct Card {
    pub(super) base_url: String,
    pub(super) token: String,
    pub(super) admin_token: String,
    pub(super) organization_id: OrganizationId,
    pub(super) agent_id: AgentId,
    pub(super) provider_accounts: serde_json::Value,
    pub(super) simulator_url: String,
    pub(super) webhook_receiver_url: String,
    pub(super) operator_url: String,
    pub(super) database_url: String,
}

impl Demo {
    /// The accounts, each with its provider.
    pub(super) fn accounts(&self) -> impl Iterator<Item = (ProviderKind, ProviderAccountId)> {
        [
            (ProviderKind::Twilio, Some(self.twilio_account_id)),
            (ProviderKind::Telnyx, self.telnyx_account_id),
            (ProviderKind::Sip, self.sip_account_id),
        ]
        .into_iter()
        .filter_map(|(provider, id)| Some((provider, id?)))
    }

    pub(super) fn card(
        &self,
        node: &Node,
        simulator: &Simulator,
        receiver: &Receiver,
        database_url: &str,
        admin_token: &str,
    ) -> Card {
        Card {
            base_url: format!("http://{}", node.address),
            token: self.token.clone(),
            admin_token: admin_token.to_owned(),
            organization_id: self.organization_id,
            agent_id: self.agent_id,
            provider_accounts: self
                .accounts()
                .map(|(provider, id)| (provider.as_str().to_owned(), json!(id)))
                .collect(),
            simulator_url: simulator.base_url(),
            webhook_receiver_url: receiver.base_url(),
            operator_url: format!("http://{}", node.operator_address),
            database_url: database_url.to_owned(),
        }
    }
}

/// The keys in the data directory; made when there are none.
pub(super) fn keys(data_dir: &Path, ambient: &Ambient) -> Result<Keys, Failure> {
    let path = data_dir.join("keys.json");
    let random = || ambient.entropy.uuid().simple().to_string();
    // 19 digits, as theirs.
    let connection_id = || {
        let number = ambient.entropy.uuid().as_u128() % 9_000_000_000_000_000_000;
        (number + 1_000_000_000_000_000_000).to_string()
    };
    if let Some(mut keys) = read::<Keys>(&path)? {
        if keys.telnyx_secret.is_empty() {
            keys.telnyx_connection_id = connection_id();
            keys.telnyx_secret = random();
            write_private(&path, &serde_json::to_vec_pretty(&keys)?)?;
        }
        if keys.sip_secret.is_empty() {
            keys.sip_secret = random();
            write_private(&path, &serde_json::to_vec_pretty(&keys)?)?;
        }
        return Ok(keys);
    }
    let key = || BASE64_STANDARD.encode(ambient.entropy.bytes::<32>());
    let keys = Keys {
        secret_key: format!("dev:{}", key()),
        token_pepper: key(),
        admin_token: random(),
        twilio_account_sid: format!("AC{}", random()),
        twilio_auth_token: random(),
        telnyx_connection_id: connection_id(),
        telnyx_secret: random(),
        sip_secret: random(),
    };
    write_private(&path, &serde_json::to_vec_pretty(&keys)?)?;
    Ok(keys)
}

/// The demonstration in the data directory; founded when there is none.
pub(super) async fn find_or_create(
    app: &App,
    data_dir: &Path,
    keys: &Keys,
    receiver_url: &str,
) -> Result<Demo, Failure> {
    let path = data_dir.join("demo.json");
    // A demo that this database does not know was made for another one.
    if let Some(mut demo) = read::<Demo>(&path)?
        && callers::identify(app, &demo.token).await.is_ok()
    {
        if demo.telnyx_account_id.is_none() {
            let scope = OrgScope::assume(demo.organization_id);
            let account = account(app, keys, ProviderKind::Telnyx, demo.agent_id)?;
            let id = organizations::connect_account(app, scope, account).await?;
            demo.telnyx_account_id = Some(id);
            write_private(&path, &serde_json::to_vec_pretty(&demo)?)?;
        }
        if demo.sip_account_id.is_none() {
            let scope = OrgScope::assume(demo.organization_id);
            let account = account(app, keys, ProviderKind::Sip, demo.agent_id)?;
            let id = organizations::connect_account(app, scope, account).await?;
            demo.sip_account_id = Some(id);
            write_private(&path, &serde_json::to_vec_pretty(&demo)?)?;
        }
        return Ok(demo);
    }
    let founded = organizations::found(app, "Demo", &AgentSettings::default()).await?;
    let scope = OrgScope::assume(founded.organization_id);
    let grant = TokenGrant {
        name: "demo".to_owned(),
        environment: Environment::Live,
        scopes: Scope::VARIANTS.to_vec(),
        agent_ids: None,
    };
    let (_, token) = organizations::make_token(app, scope, grant).await?;
    // The first is the one that the agent dials through when a request names none.
    let first = account(app, keys, ProviderKind::Twilio, founded.agent_id)?;
    let twilio_account_id = organizations::connect_account(app, scope, first).await?;
    let second = account(app, keys, ProviderKind::Telnyx, founded.agent_id)?;
    let telnyx_account_id = organizations::connect_account(app, scope, second).await?;
    let third = account(app, keys, ProviderKind::Sip, founded.agent_id)?;
    let sip_account_id = organizations::connect_account(app, scope, third).await?;
    let by = By {
        scope,
        actor: &Actor::System("dev"),
    };
    let endpoint = NewEndpoint {
        url: format!("{receiver_url}/"),
        events: Vec::new(),
        agent_id: None,
        timeout_seconds: DEFAULT_TIMEOUT_SECONDS,
    };
    let (endpoint, secret) = webhook_endpoints::create(app, by, &endpoint).await?;
    let demo = Demo {
        organization_id: founded.organization_id,
        agent_id: founded.agent_id,
        token: token.reveal().to_owned(),
        twilio_account_id,
        telnyx_account_id: Some(telnyx_account_id),
        sip_account_id: Some(sip_account_id),
        webhook_endpoint_id: endpoint.id,
        webhook_secret: secret.reveal(),
    };
    write_private(&path, &serde_json::to_vec_pretty(&demo)?)?;
    Ok(demo)
}

/// The simulated account of `provider`, to connect. Where it is is set at each start.
fn account(
    app: &App,
    keys: &Keys,
    provider: ProviderKind,
    agent_id: AgentId,
) -> Result<NewAccount, Failure> {
    let simulated = keys
        .accounts()
        .into_iter()
        .find(|account| account.provider == provider)
        .ok_or("every provider has a simulated account")?;
    Ok(NewAccount {
        provider,
        name: "Simulated".to_owned(),
        credentials: simulated.credentials(),
        external_id: simulated.external_id,
        api_base_url: None,
        simulated: true,
        number: number(provider).parse()?,
        agent_id,
        rate: Some(organizations::demo_rate(app)),
    })
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    match File::open(path) {
        Ok(file) => serde_json::from_reader(file)
            .map(Some)
            .map_err(|error| format!("{} is damaged ({error}); remove it", path.display()).into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", path.display()).into()),
    }
}

/// Writes a file that only its owner may read, whole or not at all.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    Ok(())
}
