//! A phone call: the record as the rest of the program sees it, and the one function by which it
//! changes.

mod decide;
#[cfg(test)]
mod decide_tests;
mod draft;
mod end_reason;
mod ending;
#[cfg(test)]
mod ending_tests;
mod fact;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod history_tests;
mod metadata;
mod progress;
mod status;
mod view;
mod written;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::Duration;

pub use decide::{Decision, Input, Unchanged, decide};
pub use draft::{Change, adopt, receive, start};
pub use end_reason::{EndReason, EndSide, EndState};
pub use fact::{Fact, FactType};
pub use metadata::Metadata;
pub use progress::{EndProgress, end_progress};
pub use status::{CallStatus, DialState, Direction};
pub use view::{CallEndView, CallView, CostView, EndView, ROUNDING};

use super::{
    AgentId, CallId, OrganizationId, ProviderAccountId, Timestamp,
    billing::{Cost, Rate},
    phone::Phone,
    provider::{ProviderKind, Source},
};

/// The most that a call's metadata may take as JSON.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;

/// A phone call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub organization_id: OrganizationId,
    pub id: CallId,
    pub agent_id: AgentId,
    pub provider: ProviderKind,
    pub provider_account_id: ProviderAccountId,
    /// The provider's name for the call, once it is known.
    pub provider_call_id: Option<String>,
    /// The host at which the provider keeps the call, where it told of one.
    pub provider_host: Option<String>,
    /// Counts every change; a change is applied only to the version it was decided on.
    pub version: i64,
    /// The newest fact's number.
    pub last_sequence: i64,
    pub status: CallStatus,
    pub direction: Direction,
    pub from: Phone,
    pub to: Phone,
    pub client_reference: Option<String>,
    pub metadata: Metadata,
    /// A test call is never billed.
    pub test: bool,
    pub limits: Limits,
    pub dial: DialState,
    /// When the provider was (last) asked to dial.
    pub dial_started_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub ringing_at: Option<Timestamp>,
    pub answered_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub ended_reason: Option<EndReason>,
    pub ended_side: Option<EndSide>,
    /// Why the provider says that the call ended, verbatim.
    pub provider_cause: Option<Value>,
    pub wish: Option<Wish>,
    /// The rate card as it was when the call was created; `None`: the organisation had none.
    pub rate: Option<Rate>,
    pub cost: Option<Cost>,
    /// When we last had evidence of the call's state.
    pub heard_at: Timestamp,
}

/// How long a call may ring and last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Limits {
    /// Seconds of connected time, 1 to 86,400.
    #[schema(minimum = 1, maximum = 86_400, example = 3600)]
    pub max_duration_seconds: i32,
    /// Seconds of ringing, 5 to 600.
    #[schema(minimum = 5, maximum = 600, example = 60)]
    pub ring_timeout_seconds: i32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_duration_seconds: 3600,
            ring_timeout_seconds: 60,
        }
    }
}

/// A wish to end a call. The first one fixes moment, reason and initiator for good.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    pub state: EndState,
    pub requested_at: Timestamp,
    pub reason: EndReason,
    /// Who: `token:<id>`, `local`, `admin`, `system:<what>`.
    pub initiator: String,
    pub note: Option<String>,
    /// Requests to hang up whose outcome was recorded.
    pub attempts: i32,
    /// When the hang-up is asked again; `None`: it is under way, or there is nothing to ask.
    pub retry_at: Option<Timestamp>,
    pub confirmed_by: Option<Source>,
    pub confirmed_at: Option<Timestamp>,
}

impl Call {
    pub fn is_live(&self) -> bool {
        !self.status.is_terminal()
    }

    /// What a client may call it: the provider's id, or ours while there is none.
    pub fn call_sid(&self) -> Cow<'_, str> {
        match &self.provider_call_id {
            Some(id) => Cow::Borrowed(id),
            None => Cow::Owned(self.id.to_string()),
        }
    }

    /// Connected time; `None` while the call is live.
    pub fn duration(&self) -> Option<Duration> {
        let ended_at = self.ended_at?;
        Some(
            self.answered_at
                .map_or(Duration::ZERO, |answered_at| ended_at.since(answered_at)),
        )
    }

    pub fn duration_seconds(&self) -> Option<i64> {
        self.duration().map(Duration::whole_seconds)
    }

    /// From the wish to end to the evidence that the call is over, and what confirmed it.
    pub fn end_latency(&self) -> Option<(Duration, &'static str)> {
        let wish = self.wish.as_ref()?;
        let latency = wish.confirmed_at?.since(wish.requested_at);
        Some((latency, wish.confirmed_by?.into()))
    }

    /// The other party's number.
    pub fn other_party(&self) -> &Phone {
        match self.direction {
            Direction::Outbound => &self.to,
            Direction::Inbound => &self.from,
        }
    }

    /// The moment at which a limit of the call runs out, and the reason it is then ended for.
    pub fn limit_reached_at(&self) -> Option<(Timestamp, EndReason)> {
        let limits = self.limits;
        match (self.answered_at, self.dial_started_at) {
            _ if !self.is_live() => None,
            (Some(answered_at), _) => {
                let most = Duration::seconds(limits.max_duration_seconds.into());
                Some((answered_at.plus(most), EndReason::MaxDuration))
            }
            // The provider ends a ringing call by itself; ours is the second wall, a minute later.
            (None, Some(dialed_at)) if self.provider.shows_answers() => {
                let most = Duration::seconds(i64::from(limits.ring_timeout_seconds) + 60);
                Some((dialed_at.plus(most), EndReason::RingTimeout))
            }
            // Where an answer whose report was lost does not show, a call that outlived its ringing is
            // a conversation: it is not ended as one that rings.
            (None, Some(dialed_at)) => {
                let most = limits.ring_timeout_seconds + limits.max_duration_seconds;
                Some((
                    dialed_at.plus(Duration::seconds(most.into())),
                    EndReason::MaxDuration,
                ))
            }
            (None, None) => None,
        }
    }
}
