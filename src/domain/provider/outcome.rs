//! How a request to a provider came out. Never a bare success or failure: a request whose answer
//! was lost may have been carried out.

use time::Duration;

use super::Observation;
use crate::domain::{
    CallId, Timestamp,
    call::{Direction, EndReason},
};

/// An outcome together with what the provider literally said, for the receipt.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered<T> {
    pub outcome: T,
    pub answer: ProviderAnswer,
}

/// What the provider literally said, shortened and free of secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderAnswer {
    /// HTTP status; `None`: no answer arrived.
    pub status: Option<u16>,
    /// The provider's own error code.
    pub code: Option<String>,
    /// The provider's own text, or why there was no answer.
    pub message: Option<String>,
}

impl ProviderAnswer {
    /// Whether a refusal was about the credentials, of a request about a call that exists. That of
    /// a dial may be about where to: there only 401 is about the credentials.
    pub fn refuses_credentials(&self) -> bool {
        matches!(self.status, Some(401 | 403))
    }
}

/// The outcome of a request to end a call. Every such request is safe to repeat.
#[derive(Clone, Debug, PartialEq)]
pub enum HangUpOutcome {
    /// The answer itself shows a terminal call: evidence.
    Ended(Observation),
    /// Accepted; evidence is to follow by callback or read.
    Accepted,
    /// A documented "already over" about a call that is this account's: evidence, without times.
    AlreadyOver,
    /// The provider does not know the call. Evidence of nothing: a wrong region, account or proxy
    /// looks the same.
    NotFound,
    /// Refused or lost for now; ask again.
    Retry {
        /// The provider's `Retry-After`.
        after: Option<Duration>,
    },
    /// Refused for good: credentials or request are wrong.
    Refused,
}

/// The outcome of a request to place a call, which must never be repeated blindly.
#[derive(Clone, Debug, PartialEq)]
pub enum DialOutcome {
    Placed(Observation),
    /// Certainly not carried out: ask again.
    NotSent {
        after: Option<Duration>,
    },
    /// Perhaps carried out: look the call up before anything else.
    Unknown,
    /// Certainly not carried out, and asking again would not help.
    Refused {
        reason: EndReason,
    },
}

/// The outcome of reading a call at its provider.
#[derive(Clone, Debug, PartialEq)]
pub enum FetchOutcome<T = Observation> {
    Found(T),
    NotFound,
    /// No answer, or none that tells anything.
    Unavailable {
        after: Option<Duration>,
    },
    /// Credentials refused.
    Refused,
    /// The provider has no way to read a call: it tells by itself, or nobody knows.
    Unsupported,
}

/// All that a provider tells of a call that it did not get from us.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    pub observation: Observation,
    /// Whether the observation of a live call tells how far it has come; false: that it lives is
    /// all that the provider tells.
    pub tells_progress: bool,
    /// `None`: not told.
    pub parties: Option<Parties>,
}

/// Who calls whom, as the provider writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    pub direction: Direction,
    pub from: String,
    pub to: String,
}

/// The outcome of telling a call what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructOutcome {
    Done,
    /// The provider has no such call any more: nothing to do, and evidence of nothing.
    Gone,
    /// Not carried out, or perhaps; ask again.
    Retry {
        after: Option<Duration>,
    },
    /// Refused for good.
    Refused,
}

/// The outcome of reading a page of what lives on an account.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveOutcome {
    Page {
        calls: Vec<LiveCall>,
        /// Names the next page; `None`: this is the last.
        next: Option<String>,
        /// Whether all pages together are every call that lives on the account, wherever. False:
        /// one that is missing may live elsewhere, in another region for instance.
        whole: bool,
    },
    /// The provider has no such list.
    Unsupported,
    /// No answer, or none that tells anything.
    Unavailable { after: Option<Duration> },
    /// Credentials refused.
    Refused,
}

/// A call that lives at its provider.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveCall {
    pub provider_call_id: String,
    /// Our reference, handed back; `None`: the provider hands none back, or the call is not ours.
    pub call_id: Option<CallId>,
    /// Whether the reference names our account too: then the call is ours although nothing here
    /// knows it, and no other deployment's.
    pub account_named: bool,
    pub host: Option<String>,
    /// When it was placed or came in; `None`: not said.
    pub since: Option<Timestamp>,
}

/// The outcome of looking for a call whose dial we lost sight of.
#[derive(Clone, Debug, PartialEq)]
pub enum LookupOutcome {
    Found(Observation),
    /// The provider was reached and has no such call (yet).
    Nothing,
    /// Several calls fit; taking one would be a guess.
    Ambiguous(usize),
    Unavailable {
        after: Option<Duration>,
    },
}
