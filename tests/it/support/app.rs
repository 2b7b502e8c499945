//! A running node with a simulated provider and a webhook receiver, on a database of its own.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use onhook::{
    ambient::{Ambient, ManualClock, SeededEntropy, Tasks},
    app::{
        Actor, App,
        actor::By,
        organizations::{self, NewAccount, TokenGrant},
        webhook_endpoints::{self, NewEndpoint},
    },
    boot::{Node, Patience, Settings},
    config,
    domain::{
        AgentId, OrgScope, OrganizationId, ProviderAccountId, Timestamp, WebhookEndpointId,
        agent::AgentSettings,
        provider::ProviderKind,
        token::{Environment, Scope},
        webhook::signature::SigningSecret,
    },
    jobs::Loops,
    simulator::{Receiver, SimulatedAccount, Simulator},
};
use serde_json::{Value, json};
use strum::VariantArray as _;

use super::{
    client::TestClient,
    database::{self, TestDatabase},
    wait::wait_for,
};

/// What seals secrets in tests.
pub const SECRET_KEY: &str = "test:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
pub const ADMIN_TOKEN: &str = "the-operators-own-token";
pub const TOKEN_PEPPER: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

/// A fault's delay, in milliseconds, that lasts until [`TestApp::release`]: whatever a test does
/// meanwhile is done meanwhile, however slow the machine is.
pub const HELD: u64 = 3_600_000;

/// Longer than anything takes on a machine that is ten times slower.
const LONG: Duration = Duration::from_mins(1);

/// For a hang-up, more than an operator may choose: its lease of 10 s also has to last for reads
/// before and after it.
const HANG_UP_TIMEOUT: Duration = Duration::from_secs(8);

/// An organisation with everything that a call needs.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub organization_id: OrganizationId,
    pub agent_id: AgentId,
    /// Every scope, live.
    pub token: String,
    pub account_id: ProviderAccountId,
    pub account_sid: String,
    pub auth_token: String,
    pub endpoint_id: WebhookEndpointId,
    pub webhook_secret: String,
    pub scope: OrgScope,
}

/// A node, its provider and its customers' receiver.
pub struct TestApp {
    pub node: Node,
    pub app: App,
    pub simulator: Simulator,
    pub receiver: Receiver,
    /// The clock, when the test moves it.
    pub clock: Option<Arc<ManualClock>>,
    /// The tenant that most tests act as, and its client.
    pub tenant: Tenant,
    pub client: TestClient,
    /// Another organisation.
    pub stranger: Tenant,
    /// `/_sim` and the provider's face.
    pub sim: TestClient,
    pub ambient: Ambient,
    pub database: TestDatabase,
}

impl TestApp {
    /// What was asked for is carried out by itself, in real time; nothing is looked for that nobody
    /// asked or told. Whatever
    /// ends here was asked for or told.
    pub async fn running() -> Self {
        Self::start(None, Loops::Intentions).await
    }

    /// As a node that serves: it also looks for what nobody asked or told, all in real time.
    pub async fn serving() -> Self {
        Self::start(None, Loops::All).await
    }

    /// In real time, but this process's node carries out nothing by itself: it serves for looking
    /// while other processes work on the same database.
    pub async fn looking_on() -> Self {
        Self::start(None, Loops::None).await
    }

    /// The clock stands still until the test moves it, and recovery, deliveries and reconciliation
    /// run only when the test asks the worker for a round. The fast lane runs.
    pub async fn by_hand() -> Self {
        let start: Timestamp = "2026-11-21T09:30:00Z".parse().expect("a time");
        Self::start(Some(Arc::new(ManualClock::at(start))), Loops::None).await
    }

    async fn start(clock: Option<Arc<ManualClock>>, loops: Loops) -> Self {
        let database = database::fresh().await;
        let ambient = match &clock {
            None => Ambient::system(),
            Some(clock) => Ambient {
                clock: Arc::clone(clock) as Arc<_>,
                entropy: Arc::new(SeededEntropy::new(7)),
                tasks: Tasks::default(),
            },
        };
        let any = "127.0.0.1:0".parse().expect("an address");
        let simulator = Simulator::start(any, ambient.clone(), Vec::new())
            .await
            .expect("simulator");
        let receiver = Receiver::start(any, ambient.clone(), None)
            .await
            .expect("receiver");
        let node = node(variables(&database.url), ambient.clone(), loops).await;
        let app = node.app.clone();
        let sim = TestClient::new(&simulator.base_url(), None);
        let tenant = found(&app, &simulator, &receiver, &sim, "Tenant").await;
        let stranger = found(&app, &simulator, &receiver, &sim, "Stranger").await;
        let client = TestClient::new(&format!("http://{}", node.address), Some(&tenant.token));
        Self {
            node,
            app,
            simulator,
            receiver,
            clock,
            tenant,
            client,
            stranger,
            sim,
            ambient,
            database,
        }
    }

    /// Places a call as the tenant and returns its id.
    pub async fn place(&self) -> String {
        let body = json!({"agent_id": self.tenant.agent_id, "to": "+15550101"});
        let reply = self.client.post("/api/v1/calls", &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Places a call and waits until it is answered.
    pub async fn place_answered(&self) -> String {
        let id = self.place().await;
        self.wait_for_status(&id, "in-progress").await;
        id
    }

    /// The call as the API shows it.
    pub async fn call(&self, id: &str) -> Value {
        self.client.get(&format!("/api/v1/calls/{id}")).await.json()
    }

    pub async fn wait_for_status(&self, id: &str, status: &str) -> Value {
        let done = |call: &Value| call["status"] == status;
        wait_for(&format!("call {id} to be {status}"), || self.call(id), done).await
    }

    /// The call as the simulated provider knows it, by our id.
    pub async fn at_provider(&self, id: &str) -> Value {
        let call = self.call(id).await;
        let sid = call["call_sid"].as_str().expect("a sid").to_owned();
        self.sim.get(&format!("/_sim/calls/{sid}")).await.json()
    }

    /// Scripts a fault of the provider.
    pub async fn fault(&self, operation: &str, times: u32, how: &Value) {
        let mut fault = json!({"provider": "twilio", "operation": operation, "times": times});
        fault
            .as_object_mut()
            .expect("an object")
            .extend(how.as_object().expect("an object").clone());
        let reply = self.sim.post("/_sim/faults", &fault).await;
        assert!(reply.status < 300, "{}", reply.text);
    }

    /// Lets go on what faults delay, now and until the next fault is scripted.
    pub async fn release(&self) {
        let reply = self.sim.post_nothing("/_sim/faults/release").await;
        assert_eq!(reply.status, 204, "{}", reply.text);
    }

    /// Moves the clock, in tests that hold it.
    pub fn advance(&self, seconds: i64) {
        let clock = self.clock.as_ref().expect("TestApp::by_hand");
        clock.advance(time::Duration::seconds(seconds));
    }

    /// Makes a token of the tenant with these scopes, perhaps for some agents only.
    pub async fn token(
        &self,
        environment: Environment,
        scopes: &[Scope],
        agents: Option<Vec<AgentId>>,
    ) -> String {
        let grant = TokenGrant {
            name: "test".to_owned(),
            environment,
            scopes: scopes.to_vec(),
            agent_ids: agents,
        };
        let made = organizations::make_token(&self.app, self.tenant.scope, grant).await;
        made.expect("a token").1.reveal().to_owned()
    }

    /// Another node on the same database, with these variables changed; it stops with the first one.
    pub async fn node_with(&self, changes: &[(&str, &str)]) -> Node {
        let mut variables = variables(&self.database.url);
        let changes = changes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        variables.extend(changes);
        let loops = if self.clock.is_none() {
            Loops::Intentions
        } else {
            Loops::None
        };
        node(variables, self.ambient.clone(), loops).await
    }

    /// A node in local mode, for the tenant, and a client of it without a token.
    pub async fn local_node(&self) -> (Node, TestClient) {
        let tenant = self.tenant.organization_id.to_string();
        let node = self
            .node_with(&[("ONHOOK_LOCAL_ORGANIZATION", &tenant)])
            .await;
        let client = TestClient::new(&format!("http://{}", node.address), None);
        (node, client)
    }

    /// Ends everything in order.
    pub async fn stop(self) {
        std::fs::remove_dir_all(mails(&self.database.url)).ok();
        self.node.stop().await;
    }
}

/// The folder that the mails of a test go to.
pub fn mails(database_url: &str) -> std::path::PathBuf {
    let database = database_url.rsplit('/').next().unwrap_or_default();
    let database = database.split('?').next().unwrap_or_default();
    let name = format!("onhook-mails-{}-{database}", std::process::id());
    std::env::temp_dir().join(name)
}

/// A node of a test: patient beyond any machine's slowness where the variables do not say
/// otherwise.
pub async fn node(variables: BTreeMap<String, String>, ambient: Ambient, loops: Loops) -> Node {
    let chosen = variables.contains_key("ONHOOK_PROVIDER_HANG_UP_TIMEOUT_MS");
    let mut config = config::from_variables(variables).expect("a configuration");
    if !chosen {
        config.providers.hang_up_timeout = HANG_UP_TIMEOUT;
    }
    let settings = Settings {
        config,
        ambient,
        loops,
        patience: Patience {
            connection: LONG,
            statement: LONG,
            dial: LONG,
        },
    };
    Node::start(settings).await.expect("a node")
}

/// The configuration of a test's node, as variables. Whatever waits, waits as long as it may: a
/// test that is about waiting says how long.
pub fn variables(database_url: &str) -> BTreeMap<String, String> {
    [
        ("DATABASE_URL", database_url),
        ("ONHOOK_DATABASE_REQUEST_CONNECTIONS", "8"),
        ("ONHOOK_DATABASE_WORKER_CONNECTIONS", "8"),
        ("ONHOOK_DATABASE_PATIENCE_MS", "10000"),
        ("ONHOOK_END_WAIT_SECONDS", "30"),
        ("ONHOOK_AGENT_END_WAIT_SECONDS", "30"),
        ("ONHOOK_PROVIDER_CONNECT_TIMEOUT_MS", "4000"),
        // Tests send in bursts; those of limits set them.
        ("ONHOOK_REQUESTS_PER_TOKEN", "0"),
        ("ONHOOK_REQUESTS_PER_ORGANIZATION", "0"),
        ("ONHOOK_SAFETY_CEILING", "0"),
        ("ONHOOK_LISTEN", "127.0.0.1:0"),
        ("ONHOOK_OPERATOR_LISTEN", "127.0.0.1:0"),
        ("ONHOOK_PUBLIC_URL", "http://127.0.0.1:0"),
        ("ONHOOK_SECRET_KEY", SECRET_KEY),
        ("ONHOOK_TOKEN_PEPPER", TOKEN_PEPPER),
        ("ADMIN_TOKEN", ADMIN_TOKEN),
        ("ONHOOK_OUTBOUND_ALLOW_LOOPBACK", "true"),
        (
            "ONHOOK_MAIL_URL",
            &format!("folder:{}", mails(database_url).display()),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// Founds an organisation with an agent, a token, a simulated account and a webhook endpoint.
pub async fn found(
    app: &App,
    simulator: &Simulator,
    receiver: &Receiver,
    sim: &TestClient,
    name: &str,
) -> Tenant {
    let founded = organizations::found(app, name, &AgentSettings::default())
        .await
        .expect("founded");
    let scope = OrgScope::assume(founded.organization_id);
    let grant = TokenGrant {
        name: "all".to_owned(),
        environment: Environment::Live,
        scopes: Scope::VARIANTS.to_vec(),
        agent_ids: None,
    };
    let (_, token) = organizations::make_token(app, scope, grant)
        .await
        .expect("a token");
    let external_id = format!("AC{}", app.ambient.entropy.uuid().simple());
    let auth_token = app.ambient.entropy.uuid().simple().to_string();
    let account = SimulatedAccount {
        provider: ProviderKind::Twilio,
        external_id: external_id.clone(),
        secret: auth_token.clone(),
        incoming_url: None,
    };
    let body =
        json!({"provider": "twilio", "external_id": account.external_id, "secret": account.secret});
    let registered = sim.post("/_sim/accounts", &body).await;
    assert!(registered.status < 300, "{}", registered.text);
    let account_id = organizations::connect_account(
        app,
        scope,
        NewAccount {
            provider: ProviderKind::Twilio,
            name: "Simulated".to_owned(),
            external_id: external_id.clone(),
            api_base_url: Some(format!("{}/twilio", simulator.base_url())),
            simulated: true,
            credentials: json!({"auth_token": auth_token}),
            number: "+15550100".parse().expect("a number"),
            agent_id: founded.agent_id,
            rate: Some(organizations::demo_rate(app)),
        },
    )
    .await
    .expect("an account");
    let by = By {
        scope,
        actor: &Actor::System("test"),
    };
    let endpoint = NewEndpoint {
        url: format!("{}/{name}", receiver.base_url()),
        timeout_seconds: 15,
        ..NewEndpoint::default()
    };
    let (endpoint, secret) = webhook_endpoints::create(app, by, &endpoint)
        .await
        .expect("endpoint");
    receiver.trust(SigningSecret::parse(&secret.reveal()).expect("a secret"));
    Tenant {
        organization_id: founded.organization_id,
        agent_id: founded.agent_id,
        token: token.reveal().to_owned(),
        account_id,
        account_sid: external_id,
        auth_token,
        endpoint_id: endpoint.id,
        webhook_secret: secret.reveal(),
        scope,
    }
}
