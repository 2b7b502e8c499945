//! The one function that decides what becomes of a call.
//!
//! Pure: a call, what happened, and the instant go in; the change comes out, or why there is none.
//! Whoever applies the change does so whole or not at all (`db/calls.rs`).

use serde::Serialize;
use serde_json::{Value, json, value::to_raw_value};
use time::Duration;

use super::{
    Call, CallStatus, CallView, DialState, EndReason, EndSide, EndState, Fact, FactType, Wish,
};
use crate::domain::{
    Timestamp,
    job::JobKind,
    provider::{DialOutcome, HangUpOutcome, LookupOutcome, Observation, Progress, Source},
};

/// A wish without evidence for this long is escalated.
pub(super) const UNCONFIRMED_AFTER: Duration = Duration::minutes(5);

/// A dial whose outcome is unknown is looked for at the provider for this long.
pub(super) const LOOK_FOR_DIAL: Duration = Duration::seconds(60);

/// A dial that certainly was not sent is tried this many times.
pub(super) const DIAL_ATTEMPTS: i32 = 4;

/// Something that happens to a call.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// Somebody of ours wants the call to end.
    End {
        reason: EndReason,
        initiator: &'a str,
        note: Option<&'a str>,
    },
    /// A provider told us how the call is doing.
    Observed(&'a Observation),
    /// This node is about to ask the provider to dial.
    DialStarts,
    /// The provider's answer to our request to dial, the `attempt`th.
    DialAnswered {
        outcome: &'a DialOutcome,
        attempt: i32,
    },
    /// We looked for a dial whose outcome was unknown.
    DialLookedUp(&'a LookupOutcome),
    /// The provider's answer to our request to hang up; `retry_at`: when it is asked again if need be.
    HungUp {
        outcome: &'a HangUpOutcome,
        retry_at: Timestamp,
    },
}

/// What the pure function says.
#[derive(Clone, Debug)]
pub enum Decision {
    Change(Box<Change>),
    Unchanged(Unchanged),
}

/// Why nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchanged {
    /// The call is over; what arrived now came too late to matter.
    Over,
    /// A wish to end is under way already; this one joins it.
    Joined,
    /// The report tells nothing that we do not know.
    Stale,
}

/// All that becomes of a call in one step.
#[derive(Clone, Debug)]
pub struct Change {
    /// The call afterwards.
    pub call: Call,
    pub facts: Vec<Fact>,
    /// Jobs to start, in addition to those that exist.
    pub jobs: Vec<JobKind>,
    /// Whether the jobs that exist for the call have become pointless.
    pub drop_jobs: bool,
}

/// Decides what `input` does to `call` at the instant `now`.
pub fn decide(call: &Call, input: &Input<'_>, now: Timestamp) -> Decision {
    if !call.is_live() {
        return Decision::Unchanged(Unchanged::Over);
    }
    let mut draft = Draft::of(call);
    let verdict = match input {
        Input::End {
            reason,
            initiator,
            note,
        } => draft.wish(*reason, initiator, *note, now),
        Input::Observed(observation) => draft.observe(observation, now),
        Input::DialStarts => draft.dial_starts(now),
        Input::DialAnswered { outcome, attempt } => draft.dial_answered(outcome, *attempt, now),
        Input::DialLookedUp(outcome) => draft.dial_looked_up(outcome, now),
        Input::HungUp { outcome, retry_at } => draft.hung_up(outcome, *retry_at, now),
    };
    match verdict {
        Err(unchanged) => Decision::Unchanged(unchanged),
        Ok(()) => Decision::Change(Box::new(draft.change)),
    }
}

/// The first fact of a new call, which `call` is changed to carry.
pub fn start(call: Call) -> Change {
    let mut draft = Draft {
        change: Change::new(call),
    };
    let created_at = draft.change.call.created_at;
    let status = draft.change.call.status;
    draft.fact(FactType::Started, status, created_at);
    draft.change.jobs.push(JobKind::DialCall);
    draft.change
}

impl Change {
    fn new(call: Call) -> Self {
        Self {
            call,
            facts: Vec::new(),
            jobs: Vec::new(),
            drop_jobs: false,
        }
    }
}

/// A change in the making.
struct Draft {
    change: Change,
}

type Verdict = Result<(), Unchanged>;

impl Draft {
    fn of(call: &Call) -> Self {
        let mut call = call.clone();
        call.version += 1;
        Self {
            change: Change::new(call),
        }
    }

    fn call(&mut self) -> &mut Call {
        &mut self.change.call
    }

    fn wish(&mut self, reason: EndReason, by: &str, note: Option<&str>, now: Timestamp) -> Verdict {
        if let Some(wish) = &mut self.change.call.wish {
            // A wish that is under way is joined; one that was refused is asked again, and keeps
            // the moment and the reason that were promised first.
            if wish.state != EndState::Failed {
                return Err(Unchanged::Joined);
            }
            wish.state = EndState::Requested;
            wish.retry_at = None;
        } else {
            let queued = self.change.call.dial == DialState::Queued;
            let cancels = queued && reason == EndReason::EndedByApi;
            self.change.call.wish = Some(Wish {
                state: EndState::Requested,
                requested_at: now.max(self.change.call.created_at),
                reason: if cancels {
                    EndReason::CanceledByApi
                } else {
                    reason
                },
                initiator: by.to_owned(),
                note: note.map(str::to_owned),
                attempts: 0,
                retry_at: None,
                confirmed_by: None,
                confirmed_at: None,
            });
        }
        let status = self.change.call.status;
        self.fact(FactType::EndRequested, status, now);
        match self.change.call.dial {
            DialState::Queued => self.end(&Ending::never_dialed(), now),
            // The dial's own record finds the wish and starts the hang-up with the provider's id.
            DialState::InFlight | DialState::Unknown => {}
            DialState::Placed => self.change.jobs.push(JobKind::HangUpCall),
        }
        Ok(())
    }

    fn observe(&mut self, observation: &Observation, now: Timestamp) -> Verdict {
        let known = self.change.call.provider_call_id.as_ref();
        if known.is_some_and(|known| *known != observation.provider_call_id) {
            return Err(Unchanged::Stale);
        }
        let before = self.change.call.status;
        let learnt_id = self.learn_id(observation);
        let target = match &observation.progress {
            Progress::Placed => CallStatus::Initiating,
            Progress::Ringing => CallStatus::Ringing,
            Progress::Answered => CallStatus::InProgress,
            Progress::Ended { status, .. } => *status,
        };
        self.call().heard_at = now;
        if !before.may_become(target) {
            let worth_recording = learnt_id || observation.source == Source::Fetch;
            return if worth_recording {
                Ok(())
            } else {
                Err(Unchanged::Stale)
            };
        }
        let at = self.sane(observation.at, now);
        match &observation.progress {
            Progress::Placed => {}
            Progress::Ringing => self.ringing(at),
            Progress::Answered => self.answered(at),
            Progress::Ended {
                status,
                connected_seconds,
                reason,
                cause,
            } => self.end(
                &Ending {
                    status: *status,
                    at: Some(at),
                    answered_at: connected_seconds
                        .filter(|seconds| *seconds > 0)
                        .map(|seconds| {
                            let ended_at = observation.at.unwrap_or(now).min(now);
                            ended_at.plus(Duration::seconds(-seconds))
                        }),
                    cause: Some(cause.clone()),
                    reason: *reason,
                    source: observation.source,
                },
                now,
            ),
        }
        Ok(())
    }

    /// Takes the provider's id from a report; true when it was news.
    fn learn_id(&mut self, observation: &Observation) -> bool {
        let call = &mut self.change.call;
        if call.provider_call_id.is_some() {
            return false;
        }
        call.provider_call_id = Some(observation.provider_call_id.clone());
        call.dial = DialState::Placed;
        let wished = call
            .wish
            .as_ref()
            .is_some_and(|wish| wish.state == EndState::Requested);
        if wished && !matches!(observation.progress, Progress::Ended { .. }) {
            self.change.jobs.push(JobKind::HangUpCall);
        }
        true
    }

    fn dial_starts(&mut self, now: Timestamp) -> Verdict {
        if self.change.call.dial != DialState::Queued {
            return Err(Unchanged::Stale);
        }
        self.call().dial = DialState::InFlight;
        self.call().dial_started_at = Some(now);
        Ok(())
    }

    fn dial_answered(&mut self, outcome: &DialOutcome, attempt: i32, now: Timestamp) -> Verdict {
        match outcome {
            DialOutcome::Placed(observation) => return self.observe(observation, now),
            // Its callbacks were faster than the answer that was lost: nothing is unknown.
            _ if self.change.call.dial == DialState::Placed => return Err(Unchanged::Stale),
            DialOutcome::NotSent { .. } if self.change.call.wish.is_some() => {
                self.end(&Ending::never_dialed(), now);
            }
            DialOutcome::NotSent { .. } if attempt < DIAL_ATTEMPTS => {
                self.call().dial = DialState::Queued;
            }
            DialOutcome::NotSent { .. } => self.refused(EndReason::ProviderError, now),
            DialOutcome::Unknown => self.call().dial = DialState::Unknown,
            DialOutcome::Refused { reason } => self.refused(*reason, now),
        }
        Ok(())
    }

    fn dial_looked_up(&mut self, outcome: &LookupOutcome, now: Timestamp) -> Verdict {
        match outcome {
            LookupOutcome::Found(observation) => return self.observe(observation, now),
            _ if self.change.call.dial == DialState::Placed => return Err(Unchanged::Stale),
            LookupOutcome::Nothing => {
                let since = self
                    .change
                    .call
                    .dial_started_at
                    .unwrap_or(self.change.call.created_at);
                if now.since(since) >= LOOK_FOR_DIAL {
                    self.refused(EndReason::PlatformError, now);
                } else {
                    self.call().dial = DialState::Unknown;
                }
            }
            LookupOutcome::Ambiguous(_) | LookupOutcome::Unavailable { .. } => {
                self.call().dial = DialState::Unknown;
            }
        }
        Ok(())
    }

    fn hung_up(&mut self, outcome: &HangUpOutcome, retry_at: Timestamp, now: Timestamp) -> Verdict {
        if let Some(wish) = &mut self.change.call.wish {
            wish.attempts += 1;
            wish.retry_at = None;
        }
        match outcome {
            HangUpOutcome::Ended(observation) => return self.observe(observation, now),
            HangUpOutcome::AlreadyOver => self.end(&Ending::already_over(&self.change.call), now),
            HangUpOutcome::Accepted => self.still_ending(EndState::Accepted, retry_at, now),
            HangUpOutcome::Retry { .. } => self.still_ending(EndState::Requested, retry_at, now),
            HangUpOutcome::NotFound => self.hang_up_failed(
                EndState::Failed,
                "The provider does not know the call: check the account and its region",
                now,
            ),
            HangUpOutcome::Refused => self.hang_up_failed(
                EndState::Failed,
                "The provider refuses to end the call: check the account's credentials",
                now,
            ),
        }
        Ok(())
    }

    fn still_ending(&mut self, state: EndState, retry_at: Timestamp, now: Timestamp) {
        let Some(wish) = &mut self.change.call.wish else {
            return;
        };
        wish.retry_at = Some(retry_at);
        let overdue = now.since(wish.requested_at) >= UNCONFIRMED_AFTER;
        match wish.state {
            EndState::Unconfirmed => {}
            EndState::Requested | EndState::Accepted | EndState::Confirmed | EndState::Failed
                if overdue =>
            {
                self.hang_up_failed(
                    EndState::Unconfirmed,
                    "No evidence within five minutes that the call is over; the hang-up goes on",
                    now,
                );
            }
            // What was accepted once stays accepted when a later, repeated request is not.
            EndState::Accepted => {}
            EndState::Requested | EndState::Confirmed | EndState::Failed => wish.state = state,
        }
    }

    fn hang_up_failed(&mut self, state: EndState, message: &str, now: Timestamp) {
        if let Some(wish) = &mut self.change.call.wish {
            wish.state = state;
        }
        let status = self.change.call.status;
        self.error_fact("HANGUP_FAILED", message, status, now);
    }

    /// The provider never took the call.
    fn refused(&mut self, reason: EndReason, now: Timestamp) {
        let status = self.change.call.status;
        self.error_fact(
            "DIAL_FAILED",
            "The provider did not place the call",
            status,
            now,
        );
        self.end(
            &Ending {
                status: CallStatus::Failed,
                at: Some(now),
                answered_at: None,
                cause: None,
                reason: Some(reason),
                source: Source::DialAnswer,
            },
            now,
        );
    }

    fn ringing(&mut self, at: Timestamp) {
        let from = self.change.call.status;
        self.call().status = CallStatus::Ringing;
        self.call().ringing_at = Some(at);
        self.fact(FactType::Ringing, from, at);
    }

    fn answered(&mut self, at: Timestamp) {
        let from = self.change.call.status;
        self.call().status = CallStatus::InProgress;
        self.call().answered_at = Some(at);
        self.fact(FactType::Connected, from, at);
    }

    /// Makes the call terminal: times, reason, price, and the facts that tell it.
    fn end(&mut self, ending: &Ending, now: Timestamp) {
        let call = &mut self.change.call;
        let from = call.status;
        let provider_end = ending.at.unwrap_or(now);
        let ended_at = call
            .wish
            .as_ref()
            .map_or(provider_end, |wish| wish.requested_at);
        let answered_at = call
            .answered_at
            .or_else(|| ending.answered_at.map(|at| at.max(call.created_at)));
        let natural = ending
            .reason
            .unwrap_or_else(|| EndReason::of_natural_end(ending.status));
        call.status = ending.status;
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

    fn fact(&mut self, kind: FactType, from: CallStatus, at: Timestamp) {
        self.push_fact(kind, from, at, None);
    }

    fn error_fact(&mut self, code: &str, message: &str, from: CallStatus, at: Timestamp) {
        self.push_fact(
            FactType::Error,
            from,
            at,
            Some(json!({"code": code, "message": message})),
        );
    }

    fn push_fact(&mut self, kind: FactType, from: CallStatus, at: Timestamp, error: Option<Value>) {
        #[derive(Serialize)]
        struct Data<'a> {
            call: CallView<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<Value>,
        }
        let call = &mut self.change.call;
        call.last_sequence += 1;
        // A view holds strings, numbers and JSON values only: writing it cannot fail.
        let Ok(data) = to_raw_value(&Data {
            call: call.view(),
            error,
        }) else {
            return;
        };
        let (sequence, to_status) = (call.last_sequence, call.status);
        self.change.facts.push(Fact {
            sequence,
            kind,
            from_status: from,
            to_status,
            at,
            data,
        });
    }

    /// A provider's instant, made to fit: not before the call was created, not in the future, and
    /// never past the acceptance of a wish to end for whatever can be billed.
    fn sane(&self, at: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let call = &self.change.call;
        let latest = call
            .wish
            .as_ref()
            .map_or(now, |wish| wish.requested_at)
            .min(now);
        let earliest = [call.ringing_at, call.answered_at]
            .into_iter()
            .flatten()
            .fold(call.created_at, Timestamp::max);
        at.unwrap_or(now).min(latest).max(earliest)
    }
}

/// How a call turned out to be over.
struct Ending {
    status: CallStatus,
    /// The provider's end, already made sane; `None`: not known.
    at: Option<Timestamp>,
    /// When the call was answered, as the end's report lets us reckon it.
    answered_at: Option<Timestamp>,
    cause: Option<Value>,
    /// A better reason for a natural end than its status gives.
    reason: Option<EndReason>,
    source: Source,
}

impl Ending {
    fn never_dialed() -> Self {
        Self {
            status: CallStatus::Canceled,
            at: None,
            answered_at: None,
            cause: None,
            reason: None,
            source: Source::NeverDialed,
        }
    }

    /// The provider says that it is over, and nothing else.
    fn already_over(call: &Call) -> Self {
        let answered = call.answered_at.is_some();
        Self {
            status: if answered {
                CallStatus::Completed
            } else {
                CallStatus::Canceled
            },
            at: None,
            answered_at: None,
            cause: None,
            reason: None,
            source: Source::HangUpAnswer,
        }
    }
}
