//! A provider's adapter and its simulated provider, without the rest of the program.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use onhook::{
    ambient::Ambient,
    domain::{
        CallId, OrganizationId, ProviderAccountId, Timestamp,
        agent::Answer,
        call::Limits,
        phone::Phone,
        provider::{
            Answered, DialOutcome, FetchOutcome, HangUpOutcome, InstructOutcome, LiveOutcome,
            LookupOutcome, ProviderKind,
        },
    },
    outbound::Reach,
    providers::{
        Account, Credentials, Deadlines, DialLookup, DialRequest, Instruction, ProviderCall,
        Registry, Stage,
    },
    simulator::{SimulatedAccount, Simulator},
};
use serde_json::{Value, json};

use super::faces::{Face, face};
use crate::support::client::TestClient;

/// For an answer that is to come, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// For an answer that is to be waited for in vain: long enough for the request to arrive.
const HASTE: Duration = Duration::from_secs(3);

const LIMITS: Limits = Limits {
    max_duration_seconds: 1800,
    ring_timeout_seconds: 45,
};

/// The adapters, with deadlines that are kept and with ones that are not.
pub struct Adapters {
    patient: Registry,
    hasty: Registry,
}

impl Adapters {
    pub fn new() -> Self {
        let within = |deadline| {
            let deadlines = Deadlines {
                // A connection that does not come about is another matter than an answer.
                connect: PATIENCE,
                hang_up: deadline,
                dial: deadline,
            };
            let ambient = Ambient::system();
            Registry::new(Reach::PublicAndLoopback, deadlines, &ambient).expect("trust anchors")
        };
        Self {
            patient: within(PATIENCE),
            hasty: within(HASTE),
        }
    }
}

/// One simulated provider, with one account and nothing on it.
pub struct Rig {
    pub provider: ProviderKind,
    pub face: Face,
    pub account: Account,
    /// Where the simulated provider's API is, as an account's `api_base_url`.
    pub api: String,
    pub simulated: SimulatedAccount,
    /// Members of the account's credentials that the simulated provider does not know of.
    also: Value,
    /// What the callee of the calls to come hears.
    pub answer: Answer,
    sim: TestClient,
    adapters: Arc<Adapters>,
    ambient: Ambient,
    hasty: bool,
    from: Phone,
    to: Phone,
    /// Where the provider said that it keeps a call.
    hosts: Mutex<HashMap<String, String>>,
    /// Calls that came in and were answered.
    answered: Mutex<HashSet<String>>,
}

impl Rig {
    /// Calls stay queued until the test moves them; a hang-up is carried out before it is answered.
    pub async fn start(adapters: Arc<Adapters>, provider: ProviderKind) -> Self {
        let face = face(provider);
        let ambient = Ambient::system();
        let simulated = SimulatedAccount {
            provider,
            external_id: face.external_id.to_owned(),
            secret: ambient.entropy.uuid().to_string(),
            // Nobody is there; what is told is no part of this.
            incoming_url: Some("https://192.0.2.1/reports".to_owned()),
        };
        let any = "127.0.0.1:0".parse().expect("an address");
        let simulator = Simulator::start(any, ambient.clone(), vec![simulated.clone()])
            .await
            .expect("a simulator");
        let api = format!("{}/{}", simulator.base_url(), provider.as_str());
        let rig = Self {
            provider,
            face,
            account: account(&simulated, &json!({}), &api),
            also: json!({}),
            api,
            simulated,
            answer: Answer::default(),
            sim: TestClient::new(&simulator.base_url(), None),
            adapters,
            ambient,
            hasty: false,
            from: "+15550100".parse().expect("a number"),
            to: "+15550101".parse().expect("a number"),
            hosts: Mutex::default(),
            answered: Mutex::default(),
        };
        let still = json!({"ring_after_ms": null, "answer_after_ms": null});
        rig.script(&still).await;
        rig
    }

    /// The adapter goes to `api` from now on.
    pub fn through(&mut self, api: &str) {
        self.account = account(&self.simulated, &self.also, api);
    }

    /// The account's credentials have `members` as well from now on.
    pub fn have(&mut self, members: &Value) {
        self.also = members.clone();
        let api = self.account.api_base_url.clone().expect("a simulated API");
        self.through(&api);
    }

    /// The adapter gives up early from now on.
    pub fn hurry(&mut self) {
        self.hasty = true;
    }

    pub fn be_patient(&mut self) {
        self.hasty = false;
    }

    fn registry(&self) -> &Registry {
        if self.hasty {
            &self.adapters.hasty
        } else {
            &self.adapters.patient
        }
    }

    pub fn now(&self) -> Timestamp {
        self.ambient.now()
    }

    // The adapter

    pub async fn dial(&self) -> (CallId, Answered<DialOutcome>) {
        let call_id = self.new_call_id();
        let request = DialRequest {
            call_id,
            from: &self.from,
            to: &self.to,
            answer: &self.answer,
            limits: LIMITS,
            // Nobody is there; what is reported is no part of this.
            callback_url: format!("https://192.0.2.1/reports/{}", call_id.0),
        };
        let adapter = self.registry().calls(self.provider);
        let answered = adapter.dial(&self.account, request).await;
        if let DialOutcome::Placed(observation) = &answered.outcome
            && let Some(host) = &observation.host
        {
            let id = observation.provider_call_id.clone();
            self.hosts.lock().unwrap().insert(id, host.clone());
        }
        (call_id, answered)
    }

    fn host_of(&self, call: &str) -> Option<String> {
        self.hosts.lock().unwrap().get(call).cloned()
    }

    /// Every page of the calls that live on the account; how many pages.
    pub async fn list_live(&self) -> usize {
        let adapter = self.registry().calls(self.provider);
        let (mut pages, mut cursor) = (0, None);
        loop {
            let answered = adapter.list_live(&self.account, cursor.as_deref()).await;
            match answered.outcome {
                LiveOutcome::Page { next, .. } => {
                    pages += 1;
                    cursor = next;
                }
                LiveOutcome::Unsupported => return 0,
                _ => panic!("{answered:?}"),
            }
            if cursor.is_none() {
                return pages;
            }
        }
    }

    /// Has the answered `call` do what it is to do, at a provider that takes commands; `None`: it
    /// takes none.
    pub async fn instruct(&self, call: &str) -> Option<InstructOutcome> {
        self.command(call, Stage::Answered).await
    }

    /// Has a call that came in answered; `None` as for [`Rig::instruct`].
    pub async fn take(&self, call: &str) -> Option<InstructOutcome> {
        let taken = self.command(call, Stage::Incoming).await?;
        self.answered.lock().unwrap().insert(call.to_owned());
        Some(taken)
    }

    /// Turns a call that came in away; `None` as for [`Rig::instruct`].
    pub async fn turn_away(&self, call: &str) -> Option<InstructOutcome> {
        let commands = self.registry().commands(self.provider)?;
        let rejected = commands.reject(&self.account, ProviderCall::named(call));
        Some(rejected.await.outcome)
    }

    async fn command(&self, call: &str, stage: Stage) -> Option<InstructOutcome> {
        let commands = self.registry().commands(self.provider)?;
        let instruction = Instruction {
            call_id: self.new_call_id(),
            stage,
            answer: &self.answer,
            limits: LIMITS,
            callback_url: "https://192.0.2.1/reports".to_owned(),
        };
        let host = self.host_of(call);
        let call = self.named(call, host.as_deref());
        let answered = commands.instruct(&self.account, call, instruction).await;
        Some(answered.outcome)
    }

    /// An id that no call has yet.
    pub fn new_call_id(&self) -> CallId {
        CallId(self.ambient.entropy.uuid())
    }

    pub async fn hang_up(&self, call: &str) -> Answered<HangUpOutcome> {
        let adapter = self.registry().calls(self.provider);
        let host = self.host_of(call);
        adapter
            .hang_up(&self.account, self.named(call, host.as_deref()))
            .await
    }

    pub async fn fetch(&self, call: &str) -> Answered<FetchOutcome> {
        let adapter = self.registry().calls(self.provider);
        let host = self.host_of(call);
        adapter
            .fetch(&self.account, self.named(call, host.as_deref()))
            .await
    }

    /// Looks for the dial of `call_id`, which was sent at `since` or later.
    pub async fn find(&self, call_id: CallId, since: Timestamp) -> Answered<LookupOutcome> {
        let lookup = DialLookup {
            call_id,
            from: &self.from,
            to: &self.to,
            since,
            until: self.now(),
            known: &[],
        };
        let adapter = self.registry().calls(self.provider);
        adapter.find_dial(&self.account, lookup).await
    }

    /// The call as it is named to the adapter.
    fn named<'a>(&self, id: &'a str, host: Option<&'a str>) -> ProviderCall<'a> {
        ProviderCall {
            id,
            host,
            answered: self.answered.lock().unwrap().contains(id),
        }
    }

    /// The name of a call that came in, which rings.
    pub async fn call_in(&self) -> String {
        let order = json!({"provider": self.provider, "to": "+15550100", "from": "+15550101"});
        let reply = self.sim.post("/_sim/inbound", &order).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply.json()["id"].as_str().expect("an id").to_owned()
    }

    /// The name of a new call, which is queued.
    pub async fn place(&self) -> String {
        let (_, answered) = self.dial().await;
        match answered.outcome {
            DialOutcome::Placed(observation) => observation.provider_call_id,
            _ => panic!("{}: not placed: {answered:?}", self.provider.as_str()),
        }
    }

    /// The name of a call that was placed and answered, or came in, where none can be placed.
    pub async fn place_answered(&self) -> String {
        if !self.provider.places_calls() {
            let call = self.call_in().await;
            assert_eq!(self.take(&call).await, Some(InstructOutcome::Done));
            return call;
        }
        let call = self.place().await;
        self.party(&call, "answer").await;
        call
    }

    // The simulated provider

    pub async fn script(&self, change: &Value) {
        let reply = self.sim.post("/_sim/script", change).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }

    /// The next `operation` fails: `how` as the simulator's control API has it.
    pub async fn fault(&self, operation: &str, how: &Value) {
        let mut fault = json!({"provider": self.provider, "operation": operation});
        let members = how.as_object().expect("an object").clone();
        fault.as_object_mut().expect("an object").extend(members);
        let reply = self.sim.post("/_sim/faults", &fault).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
    }

    /// What the called party does.
    pub async fn party(&self, call: &str, act: &str) {
        let path = format!("/_sim/calls/{call}/{act}");
        let reply = self.sim.post(&path, &json!({})).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }

    /// The call as the simulated provider knows it.
    pub async fn at_provider(&self, call: &str) -> Value {
        self.sim.get(&format!("/_sim/calls/{call}")).await.json()
    }

    /// How many calls were placed.
    pub async fn calls_placed(&self) -> usize {
        let all = self.sim.get("/_sim/calls").await.json();
        all["calls"].as_array().expect("calls").len()
    }

    pub fn stop(&self) {
        self.ambient.tasks.stop();
    }
}

fn account(simulated: &SimulatedAccount, also: &Value, api: &str) -> Account {
    let mut credentials = simulated.credentials();
    let more = also.as_object().expect("an object").clone();
    credentials.as_object_mut().expect("an object").extend(more);
    let credentials = credentials.to_string();
    Account {
        id: ProviderAccountId(uuid::Uuid::nil()),
        organization_id: OrganizationId(uuid::Uuid::nil()),
        kind: simulated.provider,
        external_id: simulated.external_id.clone(),
        api_base_url: Some(api.to_owned()),
        credentials: Credentials::parse(simulated.provider, credentials.as_bytes())
            .expect("credentials"),
    }
}
