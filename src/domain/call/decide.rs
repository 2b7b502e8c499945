//! The one function that decides what becomes of a call.
//!
//! Pure: a call, what happened, and the instant go in; the change comes out, or why there is none.
//! Whoever applies the change does so whole or not at all (`db/calls/mod.rs`). How a change is put
//! together is in `draft.rs`, what an end does to times, reason and price in `ending.rs`.

use time::Duration;

use super::{
    Call, CallStatus, DialState, EndReason, EndState, FactType, Wish,
    draft::{Change, Draft},
    ending::Ending,
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
    /// The provider's list of all that lives lacks the call, and the provider does not know it. Means
    /// nothing when something was heard of the call since.
    Gone { unheard_since: Timestamp },
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
        Input::Gone { unheard_since } => draft.gone(*unheard_since, now),
        Input::DialStarts => draft.dial_starts(now),
        Input::DialAnswered { outcome, attempt } => draft.dial_answered(outcome, *attempt, now),
        Input::DialLookedUp(outcome) => draft.dial_looked_up(outcome, now),
        Input::HungUp { outcome, retry_at } => {
            draft.hung_up(outcome, *retry_at, now);
            Ok(())
        }
    };
    match verdict {
        Err(unchanged) => Decision::Unchanged(unchanged),
        Ok(()) => Decision::Change(Box::new(draft.change)),
    }
}

type Verdict = Result<(), Unchanged>;

impl Draft {
    fn wish(&mut self, reason: EndReason, by: &str, note: Option<&str>, now: Timestamp) -> Verdict {
        // The clocks of two nodes differ a little: nothing ends before what was published of it.
        let at = now.max(self.latest_known());
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
                requested_at: at,
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
        self.fact(FactType::EndRequested, status, at);
        match self.change.call.dial {
            DialState::Queued => self.end(&Ending::canceled(Source::NeverDialed), now),
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
        let learnt_id = self.learn_id(observation) | self.learn_host(observation);
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
        match &observation.progress {
            Progress::Placed => {}
            Progress::Ringing => self.ringing(self.sane(observation.at, now)),
            Progress::Answered => self.answered(self.sane(observation.at, now)),
            Progress::Ended {
                status,
                connected_seconds,
                reason,
                cause,
            } => self.end(
                &Ending {
                    status: *status,
                    at: observation.at,
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

    /// Takes the host that the provider keeps the call at; true when it was news.
    fn learn_host(&mut self, observation: &Observation) -> bool {
        let known = &mut self.change.call.provider_host;
        let news = observation.host.is_some() && *known != observation.host;
        if news {
            known.clone_from(&observation.host);
        }
        news
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
                self.end(&Ending::canceled(Source::NeverDialed), now);
            }
            DialOutcome::NotSent { .. } if attempt < DIAL_ATTEMPTS => {
                self.call().dial = DialState::Queued;
            }
            DialOutcome::NotSent { .. } => {
                self.not_placed(EndReason::ProviderError, Source::DialAnswer, now);
            }
            DialOutcome::Unknown => self.call().dial = DialState::Unknown,
            DialOutcome::Refused { reason } => self.not_placed(*reason, Source::DialAnswer, now),
        }
        Ok(())
    }

    fn dial_looked_up(&mut self, outcome: &LookupOutcome, now: Timestamp) -> Verdict {
        match outcome {
            LookupOutcome::Found(observation) => return self.observe(observation, now),
            _ if self.change.call.dial == DialState::Placed => return Err(Unchanged::Stale),
            // The late answer said meanwhile that nothing was sent: it is dialled again, not failed.
            _ if self.change.call.dial == DialState::Queued => {}
            LookupOutcome::Nothing if !self.looked_long_enough(now) => {
                self.call().dial = DialState::Unknown;
            }
            LookupOutcome::Nothing if self.change.call.wish.is_some() => {
                self.end(&Ending::canceled(Source::Fetch), now);
            }
            LookupOutcome::Nothing => {
                self.not_placed(EndReason::PlatformError, Source::Fetch, now);
            }
            LookupOutcome::Ambiguous(_) | LookupOutcome::Unavailable { .. } => {
                self.call().dial = DialState::Unknown;
            }
        }
        Ok(())
    }

    /// Whether a call that the provider does not show by now will not show any more.
    fn looked_long_enough(&self, now: Timestamp) -> bool {
        let call = &self.change.call;
        let since = call.dial_started_at.unwrap_or(call.created_at);
        now.since(since) >= LOOK_FOR_DIAL
    }

    fn hung_up(&mut self, outcome: &HangUpOutcome, retry_at: Timestamp, now: Timestamp) {
        if let Some(wish) = &mut self.change.call.wish {
            wish.attempts += 1;
            wish.retry_at = None;
        }
        match outcome {
            HangUpOutcome::Ended(observation) => {
                // About another call it is no evidence, and the wish goes on.
                if self.observe(observation, now).is_err() {
                    self.still_ending(EndState::Requested, retry_at, now);
                }
            }
            HangUpOutcome::AlreadyOver => self.end(&Ending::already_over(&self.change.call), now),
            HangUpOutcome::Accepted => self.still_ending(EndState::Accepted, retry_at, now),
            HangUpOutcome::Retry { .. } => self.still_ending(EndState::Requested, retry_at, now),
            HangUpOutcome::NotFound => self.hang_up_failed(
                EndState::Failed,
                "The provider does not know the call: check the account and its region",
                now,
            ),
            // It was said when the wish failed.
            HangUpOutcome::Refused if self.has_failed() => {}
            HangUpOutcome::Refused => self.hang_up_failed(
                EndState::Failed,
                "The provider refuses to end the call: check the account's credentials",
                now,
            ),
        }
    }

    fn still_ending(&mut self, state: EndState, retry_at: Timestamp, now: Timestamp) {
        let Some(wish) = &mut self.change.call.wish else {
            return;
        };
        wish.retry_at = Some(retry_at);
        // Another request's answer failed the wish, and perhaps took its job along.
        if wish.state == EndState::Failed {
            self.change.jobs.push(JobKind::HangUpCall);
        }
        let overdue = now.since(wish.requested_at) >= UNCONFIRMED_AFTER;
        match wish.state {
            EndState::Requested | EndState::Accepted | EndState::Failed if overdue => {
                self.hang_up_failed(
                    EndState::Unconfirmed,
                    "No evidence within five minutes that the call is over; the hang-up goes on",
                    now,
                );
            }
            EndState::Requested | EndState::Failed => wish.state = state,
            // What was accepted once stays accepted when a later, repeated request is not, and
            // what was escalated once is not escalated again.
            EndState::Accepted | EndState::Unconfirmed | EndState::Confirmed => {}
        }
    }

    fn has_failed(&self) -> bool {
        let wish = self.change.call.wish.as_ref();
        wish.is_some_and(|wish| wish.state == EndState::Failed)
    }

    fn hang_up_failed(&mut self, state: EndState, message: &str, now: Timestamp) {
        if let Some(wish) = &mut self.change.call.wish {
            wish.state = state;
        }
        let status = self.change.call.status;
        self.error_fact("HANGUP_FAILED", message, status, now);
    }

    /// The provider never took the call.
    fn not_placed(&mut self, reason: EndReason, source: Source, now: Timestamp) {
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
                at: None,
                answered_at: None,
                cause: None,
                reason: Some(reason),
                source,
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
        let call = &mut self.change;
        if call.call.provider.is_commanded() && call.call.wish.is_none() {
            call.jobs.push(JobKind::InstructCall);
        }
    }
}
