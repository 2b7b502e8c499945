//! How a call becomes terminal: its times, its reason, its price, and the facts that tell it.
//!
//! The one place that sets `ended_at`. What a wish promised holds whatever the provider says:
//! moment and reason are the wish's, and nothing is billed past it.

use serde_json::Value;
use time::Duration;

use super::{
    Call, CallStatus, DialState, EndReason, EndSide, EndState, FactType, Unchanged, draft::Draft,
};
use crate::domain::{Timestamp, provider::Source};

/// How a call turned out to be over.
pub(super) struct Ending {
    pub(super) status: CallStatus,
    /// When, by the provider's clock; `None`: not said.
    pub(super) at: Option<Timestamp>,
    /// When the call was answered, as the end's report lets us reckon it.
    pub(super) answered_at: Option<Timestamp>,
    pub(super) cause: Option<Value>,
    /// A better reason for a natural end than its status gives.
    pub(super) reason: Option<EndReason>,
    pub(super) source: Source,
}

impl Ending {
    /// Before anybody could answer, because of a wish.
    pub(super) fn canceled(source: Source) -> Self {
        Self {
            status: CallStatus::Canceled,
            at: None,
            answered_at: None,
            cause: None,
            reason: None,
            source,
        }
    }

    /// The provider says that it is over, and nothing else.
    pub(super) fn already_over(call: &Call) -> Self {
        Self {
            status: without_a_word(call),
            at: None,
            answered_at: None,
            cause: None,
            reason: None,
            source: Source::HangUpAnswer,
        }
    }

    /// The provider has it no more and cannot say since when: nothing is billed past the last
    /// evidence that it lived.
    pub(super) fn gone(call: &Call) -> Self {
        Self {
            status: without_a_word(call),
            at: Some(call.heard_at),
            answered_at: None,
            cause: None,
            reason: Some(EndReason::ReconciledGone),
            source: Source::Listing,
        }
    }
}

/// The status of a call that is over, when nobody says how it ended.
fn without_a_word(call: &Call) -> CallStatus {
    if call.answered_at.is_some() {
        CallStatus::Completed
    } else {
        CallStatus::Canceled
    }
}

/// The status of a call of which we have evidence that it was answered. A provider may show one that
/// was short, or whose hang-up overtook its answer, as one that nobody answered.
fn of_answered(status: CallStatus) -> CallStatus {
    match status {
        CallStatus::Busy | CallStatus::NoAnswer | CallStatus::Canceled => CallStatus::Completed,
        CallStatus::Initiating
        | CallStatus::Ringing
        | CallStatus::InProgress
        | CallStatus::Completed
        | CallStatus::Failed => status,
    }
}

impl Draft {
    /// Makes the call terminal: times, reason, price, and the facts that tell it.
    pub(super) fn end(&mut self, ending: &Ending, now: Timestamp) {
        let provider_end = self.sane(ending.at, now);
        let call = &mut self.change.call;
        let from = call.status;
        let ended_at = call
            .wish
            .as_ref()
            .map_or(provider_end, |wish| wish.requested_at);
        let answered_at = call
            .answered_at
            .or_else(|| ending.answered_at.map(|at| at.max(call.created_at)));
        let status = if call.answered_at.is_some() {
            of_answered(ending.status)
        } else {
            ending.status
        };
        let natural = ending
            .reason
            .unwrap_or_else(|| EndReason::of_natural_end(status));
        call.status = status;
        call.ended_at = Some(ended_at);
        call.answered_at = answered_at.map(|at| at.min(ended_at));
        call.provider_cause.clone_from(&ending.cause);
        call.heard_at = now;
        if let Some(wish) = &mut call.wish {
            wish.state = EndState::Confirmed;
            wish.confirmed_by = Some(ending.source);
            wish.confirmed_at = Some(now);
            wish.retry_at = None;
            call.ended_reason = Some(wish.reason);
            call.ended_side = Some(EndSide::Local);
        } else {
            call.ended_reason = Some(natural);
            call.ended_side = Some(EndSide::of_natural_end(natural));
        }
        let billable = call
            .answered_at
            .map(|at| provider_end.min(ended_at).since(at).max(Duration::ZERO));
        if let Some(rate) = &call.rate {
            call.cost = Some(rate.price(billable));
        }
        self.change.drop_jobs = true;
        self.change.jobs.clear();
        self.ended_facts(from, ended_at);
    }

    /// The provider has the call no more, unless something was heard of it since.
    pub(super) fn gone(
        &mut self,
        unheard_since: Timestamp,
        now: Timestamp,
    ) -> Result<(), Unchanged> {
        let call = &self.change.call;
        if call.heard_at > unheard_since || call.dial != DialState::Placed {
            return Err(Unchanged::Stale);
        }
        self.end(&Ending::gone(call), now);
        Ok(())
    }

    fn ended_facts(&mut self, from: CallStatus, at: Timestamp) {
        self.fact(FactType::Ended, from, at);
        let status = self.change.call.status;
        if matches!(
            status,
            CallStatus::Busy | CallStatus::NoAnswer | CallStatus::Failed | CallStatus::Canceled
        ) {
            self.fact(FactType::DidNotConnect, status, at);
        }
        let amount = self.change.call.cost.map_or(0, |cost| cost.amount_micros);
        if amount != 0 && !self.change.call.test {
            self.fact(FactType::Billed, status, at);
        }
    }

    /// A provider's instant, made to fit: not before the call was created, not in the future, and
    /// never past the acceptance of a wish to end for whatever can be billed.
    pub(super) fn sane(&self, at: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let call = &self.change.call;
        let latest = call
            .wish
            .as_ref()
            .map_or(now, |wish| wish.requested_at)
            .min(now);
        let at = at.map_or(now, |at| within_its_second(at, now));
        at.min(latest).max(self.latest_known())
    }

    /// The latest instant of the call that was published.
    pub(super) fn latest_known(&self) -> Timestamp {
        let call = &self.change.call;
        [call.ringing_at, call.answered_at]
            .into_iter()
            .flatten()
            .fold(call.created_at, Timestamp::max)
    }
}

/// Some providers tell whole seconds: what they report within that second happened a moment ago,
/// and up to a second of a bill hangs on it.
fn within_its_second(at: Timestamp, now: Timestamp) -> Timestamp {
    let whole = at.unix_millis() % 1000 == 0;
    let just_now = (0..1000).contains(&(now.unix_millis() - at.unix_millis()));
    if whole && just_now { now } else { at }
}
