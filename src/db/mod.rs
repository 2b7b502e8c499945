//! All SQL, and nothing else.
//!
//! Free functions, one statement each: `db::calls::apply(&db, scope, …)`. Every statement on a
//! tenant's table takes the [`crate::domain::OrgScope`]. No transaction spans two round trips: a
//! future that is dropped, and a process that is killed, leaves nothing open or half done.

pub mod access_token_keys;
pub mod admission;
pub mod agents;
pub mod audit_entries;
pub mod audit_seals;
pub mod call_facts;
pub mod call_list;
pub mod callback_receipts;
pub mod calls;
mod connections;
mod constraint;
pub mod delivery_log;
pub mod events;
pub mod gateway_leases;
pub mod hangup_attempts;
pub mod idempotency;
pub mod invariants;
pub mod invitations;
pub mod jobs;
pub mod listeners;
pub mod mails;
pub mod members;
pub mod migrate;
pub mod organization_events;
pub mod organizations;
pub mod people;
pub mod phone_numbers;
pub mod provider_accounts;
pub mod sealed;
pub mod sessions;
pub mod throttles;
pub mod tokens;
mod wake;
pub mod webhook_attempts;
pub mod webhook_deliveries;
pub mod webhook_endpoints;

use std::{future::Future, str::FromStr, sync::Arc, time::Duration};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use connections::Connections;
pub use wake::{CallWatch, Wake};

use crate::domain::{Error, ErrorCode, Result};

/// The role that the application runs as; the schema's owner is another one.
const APPLICATION_ROLE: &str = "onhook_application";

/// How the database is reached.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections for requests: a request holds one for one statement.
    pub request_connections: u32,
    /// Connections for jobs and deliveries, so that neither side can starve the other.
    pub worker_connections: u32,
    /// How long a request that ends a call may wait for connections; others less.
    pub patience: Duration,
    /// How long a statement of no request may wait for a connection.
    pub acquire_timeout: Duration,
    /// How long a statement may run, both by our clock and by the server's.
    pub statement_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            request_connections: 16,
            worker_connections: 16,
            patience: Duration::from_millis(800),
            acquire_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(5),
        }
    }
}

/// The database, as one of its two kinds of users sees it. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pool: Connections,
    workers: Connections,
    /// The places at the requests' connections; jobs bound themselves.
    places: Option<Arc<admission::Places>>,
    deadline: Duration,
    wake: Wake,
}

impl Db {
    /// Prepares the pools; the first connection is made by the first statement.
    ///
    /// # Errors
    /// When `url` is no PostgreSQL URL.
    pub fn new(url: &str, options: &Options) -> Result<Self> {
        let connect = PgConnectOptions::from_str(url)
            .map_err(|error| Error::internal("read DATABASE_URL", error))?
            .application_name("onhook")
            .options([
                ("role", APPLICATION_ROLE.to_owned()),
                (
                    "statement_timeout",
                    options.statement_timeout.as_millis().to_string(),
                ),
                ("idle_in_transaction_session_timeout", "5000".to_owned()),
                ("jit", "off".to_owned()),
            ]);
        let pool = |size| {
            let pool = PgPoolOptions::new()
                .max_connections(size)
                .acquire_timeout(options.acquire_timeout)
                .test_before_acquire(false)
                .connect_lazy_with(connect.clone());
            Connections::new(pool, options.acquire_timeout)
        };
        Ok(Self {
            pool: pool(options.request_connections),
            workers: pool(options.worker_connections),
            places: Some(Arc::new(admission::Places::new(options))),
            deadline: options.acquire_timeout + options.statement_timeout,
            wake: Wake::default(),
        })
    }

    /// The same database through the workers' connections.
    #[must_use]
    pub fn for_workers(&self) -> Self {
        Self {
            pool: self.workers.clone(),
            places: None,
            ..self.clone()
        }
    }

    /// What changed on this node, for those who wait.
    pub fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Open and idle connections of the requests' and the workers' pool.
    pub fn connections(&self) -> [(&'static str, u32, usize); 2] {
        [("requests", &self.pool), ("workers", &self.workers)].map(|(name, connections)| {
            let (open, idle) = connections.count();
            (name, open, idle)
        })
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
        self.workers.close().await;
    }

    /// Runs one statement under the deadline.
    async fn run<T>(
        &self,
        doing: &'static str,
        statement: impl Future<Output = sqlx::Result<T>> + Send,
    ) -> Result<T> {
        let _place = match &self.places {
            Some(places) => Some(places.take().await?),
            None => None,
        };
        match tokio::time::timeout(self.deadline, statement).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(constraint::to_error(doing, error)),
            Err(elapsed) => Err(unavailable().because(doing, elapsed)),
        }
    }
}

/// What became of a wish to remove something that calls use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    Done,
    Missing,
    /// Calls live on it.
    InUse,
}

impl Removal {
    /// As the functions of the schema say it.
    fn of(word: &str) -> Self {
        match word {
            "done" => Self::Done,
            "in_use" => Self::InUse,
            _ => Self::Missing,
        }
    }
}

fn unavailable() -> Error {
    Error::new(
        ErrorCode::DatabaseUnavailable,
        "The database does not answer in time and nothing was changed; try again",
    )
    .retry_after(time::Duration::seconds(1))
}

/// The database's clock and whether it answers: for readiness and for [`crate::ambient::Clock`].
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn now(db: &Db) -> Result<crate::domain::Timestamp> {
    db.run(
        "ask the database for the time",
        sqlx::query_scalar!(r#"/* db::now */ SELECT clock_timestamp() AS "now!""#)
            .fetch_one(&db.pool),
    )
    .await
}
