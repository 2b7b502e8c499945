//! How intentions are carried out. The only caller of providers and of customers' servers.
//!
//! A job is taken under a lease, run with nothing open in the database, and finished by the
//! statement that records its result, if the lease is still held. A node that dies, hangs or loses
//! its lease simply means another attempt by whoever finds the job due: every run is safe to
//! repeat, because it first looks at what the call has become.
//!
//! | loop | what | when |
//! |---|---|---|
//! | fast lane | jobs that this node's operations have just written, leased to it | at once |
//! | recovery | jobs that are due: retries, scheduled dials, leases of dead nodes | every 250 ms to 1 s |
//! | deliveries | events to customers, where the node delivers | 5 ms after a change here, else as recovery |
//! | reconciliation | calls whose truth must be asked again, limits, old keys | every 15 s |
//! | comparison | accounts whose live calls are to be compared with ours | each account about every 50 s |
//! | listeners | websockets to providers that tell over them, each held by one node | every second |
//! | partitions | those of the log of attempts, where the node delivers | every hour |
//! | old rows | deliveries that are over for a month, where the node delivers | every 10 min, 500 ms while there are some |
//! | gateways | websockets to agents' gateways, each held by one node, and what is due to them | every second, 200 ms |
//! | mails | mails to people | every second |
//! | what is over | old sessions, links and keys of people | every minute |
//! | sealing | the chain of hashes over the audit log | every 5 s |
//! | uses | when tokens were used and providers reported last, written for all at once | every 5 s |
//! | clock | the offset to the database's clock | every 30 s |

mod accounts;
mod attempts;
mod audit_chain;
mod deliveries;
mod endpoints;
mod gateways;
mod hunts;
mod kinds;
mod listeners;
mod loops;
mod mails;
mod retention;
mod worker;

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use accounts::{Accounts, Lane};
pub use loops::Loops;
pub use worker::Worker;

use crate::{
    app::{
        App,
        provider_accounts::{self, circuit},
    },
    domain::{
        CallId, Error, OrgScope, ProviderAccountId, Result, job::LeasedJob,
        provider::ProviderAnswer,
    },
    outbound::{self, mail::Mailer},
    providers::{Account, Registry, StoredAccount},
    telemetry::Metrics,
};

/// How many of each may be under way at once on this node.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub hang_ups: usize,
    pub dials: usize,
    /// Requests that tell answered and incoming calls what to do.
    pub instructions: usize,
    /// To receivers that answer at once, and as many to all others.
    pub deliveries: usize,
    /// A live call without evidence for this long is read at its provider.
    pub quiet_after: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            hang_ups: 1024,
            dials: 128,
            instructions: 128,
            deliveries: 256,
            quiet_after: Duration::from_mins(2),
        }
    }
}

/// Accounts whose live calls are compared at once on this node.
const MOST_HUNTS: usize = 16;

/// What jobs work with. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    app: App,
    providers: Arc<Registry>,
    webhooks: outbound::Client,
    mailer: Option<Mailer>,
    metrics: Arc<Metrics>,
    /// The URL under which providers reach us, without a trailing slash.
    public_url: Arc<str>,
    bounds: Bounds,
    accounts: Arc<Accounts>,
    hang_ups: Arc<Semaphore>,
    dials: Arc<Semaphore>,
    instructions: Arc<Semaphore>,
    deliveries: Arc<Semaphore>,
    slow_deliveries: Arc<Semaphore>,
    hunts: Arc<Semaphore>,
    listening: Arc<listeners::Listening>,
    gateways: Arc<gateways::Gateways>,
}

/// What [`Jobs`] are made of.
pub struct Parts {
    pub app: App,
    pub providers: Arc<Registry>,
    pub webhooks: outbound::Client,
    /// `None`: nothing is mailed.
    pub mailer: Option<Mailer>,
    pub metrics: Arc<Metrics>,
    pub public_url: Arc<str>,
    pub bounds: Bounds,
}

impl Jobs {
    pub fn new(parts: Parts) -> Self {
        let bounds = parts.bounds;
        Self {
            app: parts.app.for_workers(),
            providers: parts.providers,
            webhooks: parts.webhooks,
            mailer: parts.mailer,
            metrics: parts.metrics,
            public_url: parts.public_url,
            bounds,
            accounts: Arc::default(),
            hang_ups: Arc::new(Semaphore::new(bounds.hang_ups)),
            dials: Arc::new(Semaphore::new(bounds.dials)),
            instructions: Arc::new(Semaphore::new(bounds.instructions)),
            deliveries: Arc::new(Semaphore::new(bounds.deliveries)),
            slow_deliveries: Arc::new(Semaphore::new(bounds.deliveries)),
            hunts: Arc::new(Semaphore::new(MOST_HUNTS)),
            listening: Arc::default(),
            gateways: Arc::default(),
        }
    }

    /// Takes what an answer tells about the account: whether its credentials hold, and for how long
    /// its provider wants to be left alone.
    async fn heard(&self, account: &Account, lane: Lane, heard: Heard) {
        let scope = OrgScope::assume(account.organization_id);
        match heard {
            Heard::Accepted => circuit::accepted(&self.app, scope, account.id).await,
            Heard::CredentialsRefused(status) => {
                circuit::refused(&self.app, scope, account.id, status).await;
            }
            Heard::NotNow(asked) => {
                self.accounts
                    .hold(account.id, lane, asked, self.app.ambient.now());
            }
            Heard::Nothing => {}
        }
    }

    /// The account, opened; `None`: it is disconnected.
    async fn account(&self, id: ProviderAccountId) -> Result<Option<Arc<Account>>> {
        let Some(open) = provider_accounts::open(&self.app, id).await? else {
            return Ok(None);
        };
        let stored = StoredAccount {
            id: open.id,
            organization_id: open.organization_id,
            kind: open.provider,
            external_id: &open.external_id,
            api_base_url: open.api_base_url.as_deref(),
            credentials: &open.credentials,
        };
        let account = self.providers.account(stored).await;
        account
            .map(Some)
            .map_err(|error| Error::internal("read a provider account's credentials", error))
    }
}

/// What an answer tells about the account that was asked.
enum Heard {
    /// The credentials hold.
    Accepted,
    /// With the status that said so.
    CredentialsRefused(Option<u16>),
    /// `Retry-After`, or how long an account that is silent is left alone.
    NotNow(time::Duration),
    Nothing,
}

impl Heard {
    fn wait(after: Option<time::Duration>) -> Self {
        after.map_or(Self::Nothing, Self::NotNow)
    }

    fn refusal(answer: &ProviderAnswer) -> Self {
        if answer.refuses_credentials() {
            Self::CredentialsRefused(answer.status)
        } else {
            Self::Nothing
        }
    }
}

/// Where the provider of `account` reports on the call that we named `call_id`, as it sees us.
fn callback_url(public_url: &str, account: &Account, call_id: CallId) -> String {
    let provider = account.kind.as_str();
    format!(
        "{public_url}/callbacks/{provider}/{}/calls/{call_id}",
        account.id
    )
}

/// The organisation of a job that was claimed from our own queue.
fn scope_of(job: &LeasedJob) -> OrgScope {
    OrgScope::assume(job.organization_id)
}
