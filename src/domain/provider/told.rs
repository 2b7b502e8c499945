//! What a provider tells of its own accord, by a callback or over a websocket. How it is proven to
//! come from the provider is not here.

use super::Observation;

/// What a provider's report tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// How a call is doing.
    Progress(Observation),
    /// A call came in.
    Incoming(IncomingCall),
    /// The call has done all that it was told to: it is to be ended.
    Finished {
        /// The provider's name for it.
        provider_call_id: String,
    },
    /// Nothing about a call's progress, or in a word that we do not know.
    Nothing,
}

/// A call that came in, as its provider tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingCall {
    pub provider_call_id: String,
    /// Who calls: a number in E.164, or whatever the provider has for one that is withheld.
    pub from: String,
    /// The number that was called, by which its organisation and agent are found.
    pub to: String,
    /// As [`Observation::host`].
    pub host: Option<String>,
    /// Whether our answer to the callback answers the call, and no report of that will follow.
    pub answered_by_reply: bool,
}
