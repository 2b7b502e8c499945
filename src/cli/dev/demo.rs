//! The demonstration's keys and data: made at the first start, found at every other. What a data
//! directory of an older version lacks is made then.

use std::{
    collections::BTreeMap,
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
    /// The simulated accounts by provider. One that a file of an older version lacks is made.
    #[serde(default)]
    accounts: BTreeMap<ProviderKind, AccountKeys>,
}

#[derive(Serialize, Deserialize)]
struct AccountKeys {
    external_id: String,
    secret: String,
}

impl Keys {
    /// The simulated accounts, one for each provider.
    pub(super) fn accounts(&self) -> Vec<SimulatedAccount> {
        let accounts = self.accounts.iter();
        accounts
            .map(|(provider, keys)| SimulatedAccount {
                provider: *provider,
                external_id: keys.external_id.clone(),
                secret: keys.secret.clone(),
                incoming_url: None,
            })
            .collect()
    }
}

/// A name for an account, as the provider gives them.
fn external_id(provider: ProviderKind, ambient: &Ambient) -> String {
    let random = ambient.entropy.uuid();
    match provider {
        ProviderKind::Twilio => format!("AC{}", random.simple()),
        // 19 digits.
        ProviderKind::Telnyx => {
            let number = random.as_u128() % 9_000_000_000_000_000_000;
            (number + 1_000_000_000_000_000_000).to_string()
        }
        ProviderKind::Vonage => random.to_string(),
        ProviderKind::Openai => format!("proj_{}", random.simple()),
        // The Stasis application of an Asterisk.
        ProviderKind::Sip => "onhook".to_owned(),
    }
}

/// The agent's number on the account of a provider.
fn number(provider: ProviderKind) -> &'static str {
    match provider {
        ProviderKind::Twilio => "+15550100",
        ProviderKind::Telnyx => "+15550110",
        ProviderKind::Vonage => "+15550120",
        ProviderKind::Openai => "+15550140",
        ProviderKind::Sip => "+15550130",
    }
}

/// The demonstration's organisation.
#[derive(Serialize, Deserialize)]
pub(super) struct Demo {
    pub(super) organization_id: OrganizationId,
    pub(super) agent_id: AgentId,
    pub(super) token: String,
    /// One that a file of an older version lacks is connected.
    #[serde(default)]
    pub(super) provider_accounts: BTreeMap<ProviderKind, ProviderAccountId>,
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
            provider_accounts: json!(self.provider_accounts),
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
    let key = || BASE64_STANDARD.encode(ambient.entropy.bytes::<32>());
    let mut keys = read::<Keys>(&path)?.unwrap_or_else(|| Keys {
        secret_key: format!("dev:{}", key()),
        token_pepper: key(),
        admin_token: random(),
        accounts: BTreeMap::new(),
    });
    for provider in ProviderKind::VARIANTS {
        keys.accounts
            .entry(*provider)
            .or_insert_with(|| AccountKeys {
                external_id: external_id(*provider, ambient),
                secret: random(),
            });
    }
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
    let known = match read::<Demo>(&path)? {
        Some(demo) if callers::identify(app, &demo.token, None).await.is_ok() => Some(demo),
        _ => None,
    };
    let mut demo = match known {
        Some(demo) => demo,
        None => create(app, receiver_url).await?,
    };
    let scope = OrgScope::assume(demo.organization_id);
    // The first is the one that the agent dials through when a request names none.
    for provider in ProviderKind::VARIANTS {
        if !demo.provider_accounts.contains_key(provider) {
            let account = account(app, keys, *provider, demo.agent_id)?;
            let id = organizations::connect_account(app, scope, account).await?;
            demo.provider_accounts.insert(*provider, id);
        }
    }
    write_private(&path, &serde_json::to_vec_pretty(&demo)?)?;
    Ok(demo)
}

/// Founds the organisation, its token and its webhook endpoint.
async fn create(app: &App, receiver_url: &str) -> Result<Demo, Failure> {
    let founded = organizations::found(app, "Demo", &AgentSettings::default()).await?;
    let scope = OrgScope::assume(founded.organization_id);
    let grant = TokenGrant {
        name: "demo".to_owned(),
        environment: Environment::Live,
        scopes: Scope::VARIANTS.to_vec(),
        agent_ids: None,
    };
    let (_, token) = organizations::make_token(app, scope, grant).await?;
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
    Ok(Demo {
        organization_id: founded.organization_id,
        agent_id: founded.agent_id,
        token: token.reveal().to_owned(),
        provider_accounts: BTreeMap::new(),
        webhook_endpoint_id: endpoint.id,
        webhook_secret: secret.reveal(),
    })
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
