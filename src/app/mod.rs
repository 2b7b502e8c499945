//! What can be done: one file per operation.
//!
//! An operation reads, lets the pure function decide, and applies the whole change in one
//! statement; when somebody was faster it reads and decides again. It never talks to a provider or
//! to a customer's server (`tests/it/architecture.rs` holds that): it writes the intention, and the
//! jobs carry it out. So no handler waits for a carrier with anything open, and a crash anywhere
//! leaves either nothing or a durable intention.

pub mod actor;
pub mod agents;
pub mod callers;
pub mod calls;
pub mod fast_lane;
pub mod idempotency;
pub mod invitations;
pub mod members;
pub mod notices;
pub mod organization_events;
pub mod organizations;
pub mod people;
pub mod phone_numbers;
pub mod provider_accounts;
pub mod rates;
pub mod resealing;
pub mod stream;
pub mod tokens;
pub mod webhook_endpoints;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

pub use actor::Actor;
pub use fast_lane::{FastLane, FastLaneJob};

use crate::{
    ambient::Ambient,
    crypto::{sealed::KeyRing, token_digest::Pepper},
    db::Db,
};

/// What every operation works with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub db: Db,
    pub ambient: Ambient,
    pub keys: KeyRing,
    pub pepper: Pepper,
    pub fast_lane: FastLane,
    pub callers: callers::Callers,
    pub accounts: provider_accounts::Accounts,
    pub circuits: provider_accounts::circuit::Circuits,
    pub reports: provider_accounts::heard::Reports,
    pub ends: calls::ends::Ends,
    pub feed: stream::Feed,
    pub people: people::People,
    pub mail: people::mails::MailSettings,
    pub rates: rates::Rates,
    /// How many calls of an organisation may live at once, where it says nothing itself; `None`:
    /// any number.
    pub most_live_calls: Option<u32>,
    /// Whether webhook endpoints may be plain HTTP on loopback: dev and tests.
    pub allow_loopback: bool,
    draining: Arc<AtomicBool>,
}

/// What an [`App`] is made of.
pub struct Parts {
    pub db: Db,
    pub ambient: Ambient,
    pub keys: KeyRing,
    pub pepper: Pepper,
    pub fast_lane: FastLane,
    pub mail: people::mails::MailSettings,
    pub allow_loopback: bool,
    pub quotas: rates::Quotas,
    /// See [`App`].
    pub most_live_calls: Option<u32>,
}

impl App {
    pub fn new(parts: Parts) -> Self {
        Self {
            rates: rates::Rates::new(parts.quotas, &parts.ambient.clock),
            most_live_calls: parts.most_live_calls,
            db: parts.db,
            ambient: parts.ambient,
            keys: parts.keys,
            pepper: parts.pepper,
            fast_lane: parts.fast_lane,
            callers: callers::Callers::default(),
            accounts: provider_accounts::Accounts::default(),
            circuits: provider_accounts::circuit::Circuits::default(),
            reports: provider_accounts::heard::Reports::default(),
            ends: calls::ends::Ends::default(),
            feed: stream::Feed::default(),
            people: people::People::default(),
            mail: parts.mail,
            allow_loopback: parts.allow_loopback,
            draining: Arc::default(),
        }
    }

    /// The same operations through the workers' database connections.
    #[must_use]
    pub fn for_workers(&self) -> Self {
        Self {
            db: self.db.for_workers(),
            ..self.clone()
        }
    }

    /// From now on new dials are refused; ending and reading go on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }
}
