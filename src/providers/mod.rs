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
pub mod openai;
mod opened;
pub mod registry;
pub mod sip;
pub mod telnyx;
pub mod twilio;
pub mod vonage;

use std::{future::Future, pin::Pin, time::Duration};

use axum::http::HeaderMap;
use serde_json::Value;

use crate::domain::{
    CallId, Timestamp,
    agent::Answer,
    call::{Call, Limits},
    phone::Phone,
    provider::{
        Answered, Description, DialOutcome, FetchOutcome, HangUpOutcome, InstructOutcome,
        LiveOutcome, LookupOutcome, Observation,
    },
};

pub use crate::domain::provider::{IncomingCall, Told};
pub use account::{Account, Credentials, CredentialsProblem};
pub use opened::StoredAccount;
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

/// A call as its provider knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderCall<'a> {
    /// The provider's name for it.
    pub id: &'a str,
    /// The host that the provider keeps it at ([`Observation::host`]); `None`: not known.
    pub host: Option<&'a str>,
    /// Whether we have evidence that it was answered: for a provider that does not tell a call that
    /// is over from one that never was.
    pub answered: bool,
}

impl<'a> ProviderCall<'a> {
    /// The call as its record names it; `None`: the provider's name for it is not known yet.
    pub fn of(call: &'a Call) -> Option<Self> {
        Some(Self {
            id: call.provider_call_id.as_deref()?,
            host: call.provider_host.as_deref(),
            answered: call.answered_at.is_some(),
        })
    }

    /// A call at a provider that keeps all of them in one place.
    pub fn named(id: &'a str) -> Self {
        Self {
            id,
            host: None,
            answered: false,
        }
    }
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
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<HangUpOutcome>>;

    /// Reads how a call is doing.
    fn fetch<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<FetchOutcome>>;

    /// Reads a call that other software placed, with who calls whom.
    fn describe<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<FetchOutcome<Description>>>;

    /// Looks for a call whose dial had no answer.
    fn find_dial<'a>(
        &'a self,
        account: &'a Account,
        lookup: DialLookup<'a>,
    ) -> BoxFuture<'a, Answered<LookupOutcome>>;

    /// Reads a page of the calls that live on the account: the first, or the one that `cursor`
    /// names, which the page before gave.
    fn list_live<'a>(
        &'a self,
        account: &'a Account,
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Answered<LiveOutcome>>;
}

/// What a call is to do, for a provider to carry out.
#[derive(Clone, Debug)]
pub struct Instruction<'a> {
    pub call_id: CallId,
    pub stage: Stage,
    /// What the other party hears.
    pub answer: &'a Answer,
    pub limits: Limits,
    /// Where the provider reports, our reference to the call included.
    pub callback_url: String,
}

/// How far the call is that an instruction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It came in and rings: it is to be answered.
    Incoming,
    /// Somebody has answered it.
    Answered,
}

/// Tells calls what to do, at a provider that takes it as requests of ours
/// ([`ProviderKind::is_commanded`](crate::domain::provider::ProviderKind::is_commanded)) and not as
/// our answers to its questions.
pub trait Commands: Send + Sync {
    /// Has `call` carry out the instruction. Safe to repeat.
    fn instruct<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
        instruction: Instruction<'a>,
    ) -> BoxFuture<'a, Answered<InstructOutcome>>;

    /// Turns an incoming call away.
    fn reject<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<InstructOutcome>>;
}

/// Hears of calls over a websocket that we hold, at a provider that has no callbacks for it.
pub trait Listens: Send + Sync {
    /// What one websocket is about.
    fn subject(&self) -> Subject;

    /// Whether `account` has a websocket to be held.
    fn wants(&self, account: &Account) -> bool;

    /// Opens the websocket: for the account, or for the one call.
    fn connect<'a>(
        &'a self,
        account: &'a Account,
        call: Option<ProviderCall<'a>>,
    ) -> BoxFuture<'a, Result<Box<dyn Feed>, NoFeed>>;
}

/// What one websocket is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Account,
    Call,
}

/// An open websocket. Dropping it closes it.
pub trait Feed: Send {
    /// What is told next. [`Heard::Closed`] is the last.
    fn next(&mut self) -> BoxFuture<'_, Heard>;
}

/// What a websocket tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// As a callback would.
    Told(Callback),
    /// The provider closed it; where that is evidence of a call's end, with the observation.
    Closed(Option<Observation>),
    /// It broke: nobody knows what was missed.
    Broken(String),
}

/// Why there is no websocket.
#[derive(Clone, Debug, PartialEq)]
pub enum NoFeed {
    /// The provider says that the call which it is about is over or never was.
    NoSuchCall,
    /// Credentials refused.
    Refused(String),
    /// Try again.
    Unavailable(String),
}

/// Understands what a provider sends us.
pub trait Callbacks: Send + Sync {
    /// Checks that `request` comes from `account`'s provider, then reads it. Pure.
    fn read(
        &self,
        account: &Account,
        request: &CallbackRequest<'_>,
    ) -> Result<Callback, CallbackRefusal>;

    /// The answer to a callback that asks what the call is to do ([`Callback::asks`]). Pure.
    ///
    /// # Errors
    /// What is wrong with the agent's settings, for its owner.
    fn instructions(
        &self,
        account: &Account,
        instruction: &Instruction<'_>,
    ) -> Result<Reply, String>;

    /// The answer to an incoming call that nobody takes.
    fn rejection(&self) -> Reply;
}

/// What a callback is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// `None`: there is no body.
    pub content_type: Option<&'static str>,
    pub body: String,
}

impl Reply {
    /// 200 without a body, for a provider that takes what a call is to do as requests.
    pub fn empty() -> Self {
        Self {
            status: 200,
            content_type: None,
            body: String::new(),
        }
    }
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
    /// The call that the URL names; `None`: the URL is the account's, for incoming calls and for
    /// whatever names a call by the provider's id alone. Whoever sends the request chooses the URL: a
    /// provider that does not sign it has to be held to this by what it signs.
    pub call_id: Option<CallId>,
    /// When it arrived, for a provider whose signature ages.
    pub now: Timestamp,
}

/// A callback that is proven to come from the provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Callback {
    /// The same when the provider sends the same report again. Unique within the account.
    pub receipt_key: String,
    pub told: Told,
    /// Whether the provider wants to be told what the call is to do by our answer.
    pub asks: bool,
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
