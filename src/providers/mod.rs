//! Everything that is known about the companies that carry calls. One folder per provider.
//!
//! Stateless: an adapter asks, waits within its deadline and says how it came out, in the words of
//! [`crate::domain::provider`]. It never repeats a request by itself (whoever asks knows what a
//! repetition means), never touches the database, and never calls something evidence that is not.
//!
//! To add one:
//! 1. a variant of [`crate::domain::provider::ProviderKind`] and of [`Credentials`] (the compiler then shows every place),
//! 2. a folder: `wire.rs` with their shapes as they document them, `map.rs` from those shapes to
//!    outcomes (pure, a table test for every row), `request.rs` from our questions to HTTP
//!    requests, `callback.rs` for what they send us, `mod.rs` to tie them together,
//! 3. an arm in [`registry`].
//!
//! `docs/adding-a-provider.md` goes through it step by step.
//!
//! The traits have no default bodies: a provider that cannot do something has to say so itself.

mod account;
mod answer;
mod base_url;
pub mod registry;
pub mod telnyx;
pub mod twilio;

use std::{future::Future, pin::Pin, time::Duration};

use axum::http::HeaderMap;
use serde_json::Value;

use crate::domain::{
    CallId, Timestamp,
    agent::Answer,
    call::Limits,
    phone::Phone,
    provider::{Answered, DialOutcome, FetchOutcome, HangUpOutcome, LookupOutcome, Observation},
};

pub use account::{Account, Credentials, CredentialsProblem};
pub use registry::Registry;

/// A future that can be named in a trait that is used as an object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How long a provider may take. Connecting is part of each whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For a connection to come about, TLS included.
    pub connect: Duration,
    /// For a hang-up or a read, whole.
    pub hang_up: Duration,
    /// For a dial, whole. Longer, because giving up on a dial leaves its outcome unknown.
    pub dial: Duration,
}

/// A call to be placed.
#[derive(Clone, Debug)]
pub struct DialRequest<'a> {
    pub call_id: CallId,
    pub from: &'a Phone,
    pub to: &'a Phone,
    /// What the callee hears.
    pub answer: &'a Answer,
    pub limits: Limits,
    /// Where the provider reports, as it sees us, our reference to the call included.
    pub callback_url: String,
}

/// What is known of a dial whose answer was lost.
#[derive(Clone, Copy, Debug)]
pub struct DialLookup<'a> {
    /// What [`DialRequest::call_id`] was, for a provider that hands our reference back.
    pub call_id: CallId,
    pub from: &'a Phone,
    pub to: &'a Phone,
    /// When the request was sent, at the earliest and at the latest, by our clock.
    pub since: Timestamp,
    pub until: Timestamp,
    /// The provider's names of other calls of ours, which this one cannot be.
    pub known: &'a [String],
}

/// Asks a provider about calls.
pub trait CallControl: Send + Sync {
    /// Places a call. Never to be repeated after [`DialOutcome::Unknown`] without a
    /// [`find_dial`](Self::find_dial).
    fn dial<'a>(
        &'a self,
        account: &'a Account,
        request: DialRequest<'a>,
    ) -> BoxFuture<'a, Answered<DialOutcome>>;

    /// Ends a call, ringing or answered. Safe to repeat.
    fn hang_up<'a>(
        &'a self,
        account: &'a Account,
        provider_call_id: &'a str,
    ) -> BoxFuture<'a, Answered<HangUpOutcome>>;

    /// Reads how a call is doing.
    fn fetch<'a>(
        &'a self,
        account: &'a Account,
        provider_call_id: &'a str,
    ) -> BoxFuture<'a, Answered<FetchOutcome>>;

    /// Looks for a call whose dial had no answer.
    fn find_dial<'a>(
        &'a self,
        account: &'a Account,
        lookup: DialLookup<'a>,
    ) -> BoxFuture<'a, Answered<LookupOutcome>>;
}

/// Understands what a provider sends us.
pub trait Callbacks: Send + Sync {
    /// Checks that `request` comes from `account`'s provider, then reads it. Pure.
    fn read(
        &self,
        account: &Account,
        request: &CallbackRequest<'_>,
    ) -> Result<Callback, CallbackRefusal>;
}

/// A request that claims to come from a provider.
#[derive(Clone, Copy, Debug)]
pub struct CallbackRequest<'a> {
    pub method: &'a str,
    /// The public URL as the provider was given it, with the query that arrived: not the one that
    /// a proxy passed on to us.
    pub url: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    /// The call that the URL names. Whoever sends the request chooses the URL: a provider that does
    /// not sign it has to be held to this by what it signs.
    pub call_id: CallId,
    /// When it arrived, for a provider whose signature ages.
    pub now: Timestamp,
}

/// A callback that is proven to come from the provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Callback {
    /// The same when the provider sends the same report again. Unique within the account.
    pub receipt_key: String,
    /// `None`: it tells nothing about a call's progress, or in a word that we do not know.
    pub observation: Option<Observation>,
    /// The provider's count of its reports about this call.
    pub sequence: Option<i64>,
    /// All of it, as JSON without U+0000, which PostgreSQL cannot hold. Personal data.
    pub raw: Value,
}

/// Why a callback is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackRefusal {
    /// Not proven to come from the provider.
    #[error("the signature does not match")]
    Signature,
    /// From the provider, but not what it documents.
    #[error("not understood: {0}")]
    Malformed(String),
    /// From the provider, about another account than the one that the URL names.
    #[error("about another account")]
    WrongAccount,
}
