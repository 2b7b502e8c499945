//! The configuration: read once at start from the environment, all faults reported together.
//!
//! `.env.example` lists every variable with its default; a test compares it with [`VARIABLES`].

mod mail;
mod read;
mod reading;
mod variables;

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use crate::{
    crypto::{admin_token::AdminToken, sealed::KeyRing, token_digest::Pepper},
    domain::{OrganizationId, proxies::TrustedProxies},
    telemetry::log::Format,
};

pub use read::{from_environment, from_variables};
pub use reading::Fault;
pub use variables::VARIABLES;

/// Everything that a node can be told.
#[derive(Clone, Debug)]
pub struct Config {
    pub database: Database,
    pub http: Http,
    pub keys: Keys,
    pub providers: Providers,
    pub jobs: Jobs,
    /// `None`: nothing is mailed, and what needs mail is refused.
    pub mail: Option<Mail>,
    pub limits: Limits,
    pub log: Log,
}

/// Where the database is and how many connections are used.
#[derive(Clone)]
pub struct Database {
    pub url: String,
    pub request_connections: u32,
    pub worker_connections: u32,
    /// How long a request that ends a call waits for connections.
    pub patience: Duration,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("url", &"…")
            .field("request_connections", &self.request_connections)
            .field("worker_connections", &self.worker_connections)
            .field("patience", &self.patience)
            .finish()
    }
}

/// What is listened on, and how long requests wait.
#[derive(Clone, Debug)]
pub struct Http {
    pub listen: SocketAddr,
    pub operator_listen: SocketAddr,
    /// How providers reach us, without a trailing slash.
    pub public_url: String,
    pub end_wait: Duration,
    pub agent_end_wait: Duration,
    pub max_connections: usize,
    pub trusted_proxies: TrustedProxies,
    /// Local mode: requests to the session routes without a token act as this organisation. Only
    /// with `listen` on loopback.
    pub local_organization: Option<OrganizationId>,
}

/// What secrets are sealed and hashed with.
#[derive(Clone, Debug)]
pub struct Keys {
    pub secret_key: KeyRing,
    pub token_pepper: Pepper,
    /// `None`: the operator's routes are not there.
    pub admin_token: Option<AdminToken>,
}

/// How providers and customers' servers are reached.
#[derive(Clone, Copy, Debug)]
pub struct Providers {
    pub connect_timeout: Duration,
    pub hang_up_timeout: Duration,
    pub dial_timeout: Duration,
    /// Loopback may be reached: for simulators and tests only.
    pub allow_loopback: bool,
    /// A live call without evidence for this long is read at its provider.
    pub quiet_after: Duration,
}

/// What a node does beside answering requests.
#[derive(Clone, Copy, Debug)]
pub struct Jobs {
    /// Whether it delivers events to customers; some node must.
    pub deliver_webhooks: bool,
}

/// How mail is sent.
#[derive(Clone, Debug)]
pub struct Mail {
    pub way: MailWay,
    /// `Name <address>`, as it was found to be one.
    pub from: String,
}

/// Where mail goes.
#[derive(Clone)]
pub enum MailWay {
    /// To a mail server, by a URL that `outbound::mail` understands; it holds a password.
    Smtp(String),
    /// Into a folder, a file each: development and tests.
    Folder(PathBuf),
}

impl std::fmt::Debug for MailWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Smtp(_) => f.write_str("Smtp(…)"),
            Self::Folder(path) => f.debug_tuple("Folder").field(path).finish(),
        }
    }
}

/// What one client may do; `None`: as much as it likes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests a minute on this node, but for ending and reading.
    pub requests_per_token: Option<NonZeroU32>,
    pub requests_per_organization: Option<NonZeroU32>,
    /// Ends and reads a minute of an organisation on this node.
    pub safety_ceiling: Option<NonZeroU32>,
    /// Calls of an organisation that live at once, where it has no limit of its own.
    pub live_calls: Option<u32>,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct Log {
    pub format: Format,
    pub filter: String,
}
