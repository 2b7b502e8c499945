//! One simulated call: how it moves, and what it has to report.
//!
//! Pure: the instant comes in, what must follow goes out as [`Effect`]s. The invariant: a call that
//! is over never moves again, and every move reports itself at most once.

use std::{collections::VecDeque, time::Duration};

use serde::Serialize;

pub(super) use super::report::{CallbackTarget, CopyKind, Delivered, Event, Report};
use super::script::Script;
use crate::domain::{Timestamp, provider::ProviderKind};

/// Names a call within one simulator; never used twice, so that a timer that outlives its call
/// finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LineNumber(pub(super) u64);

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(super) enum State {
    Queued,
    Ringing,
    InProgress,
    Completed,
    Busy,
    NoAnswer,
    Failed,
    Canceled,
}

impl State {
    pub(super) fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Ringing | Self::InProgress)
    }

    pub(super) fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A call to place, as a provider's face read it from the request.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) provider: ProviderKind,
    /// The provider's name for the new call.
    pub(super) id: String,
    pub(super) account: String,
    pub(super) to: String,
    pub(super) from: String,
    pub(super) callback: Option<CallbackTarget>,
    /// How long it rings before it counts as not answered.
    pub(super) ring_timeout: Duration,
    /// How long it may last from the answer.
    pub(super) time_limit: Duration,
    /// Whether the provider can carry out what the call is to do once answered. If not, it fails.
    pub(super) runnable: bool,
    /// What the customer wants to be handed back with everything about the call.
    pub(super) client_state: Option<String>,
    /// The customer's name for the request: the provider carries out one of that name only.
    pub(super) command_id: Option<String>,
}

/// What can be seen of a call.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Record {
    pub(super) provider: ProviderKind,
    pub(super) id: String,
    pub(super) account: String,
    /// It came in.
    pub(super) inbound: bool,
    pub(super) to: String,
    pub(super) from: String,
    pub(super) state: State,
    /// Every request to end the call that arrived, failed ones included.
    pub(super) hangup_requests: u32,
    /// Those of them that ended it: 0 or 1.
    pub(super) hangups_carried_out: u32,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) ringing_at: Option<Timestamp>,
    pub(super) answered_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    /// The SIP status of an end without conversation.
    pub(super) sip_code: Option<u16>,
    /// It ended because it had lasted as long as it might.
    pub(super) reached_time_limit: bool,
    pub(super) client_state: Option<String>,
    pub(super) command_id: Option<String>,
    pub(super) status_callback: Option<String>,
    /// The customer deleted the provider's record. The call itself goes on.
    pub(super) deleted: bool,
}

impl Record {
    /// Whole seconds from the answer to the end; 0 without an answer; `None` before the end.
    pub(super) fn connected_seconds(&self) -> Option<i64> {
        let ended_at = self.ended_at?;
        Some(self.answered_at.map_or(0, |answered_at| {
            ended_at.since(answered_at).whole_seconds().max(0)
        }))
    }
}

/// What must follow a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Tell the exchange of the moment after this long.
    After(Duration, LineNumber, Moment),
    /// Send the call's reports; nobody is at it.
    Deliver(LineNumber),
}

/// A point in a call's life that comes by itself. It counts only when the call still waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Rings,
    Answered,
    RingTimeout,
    TalkedOut,
    TimeLimit,
    /// An accepted hang-up takes effect.
    HangUp,
    /// A sentence is over.
    Spoken,
}

/// A call and what the provider keeps about it for itself.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: LineNumber,
    pub(super) record: Record,
    pub(super) callback: Option<CallbackTarget>,
    pub(super) outbox: VecDeque<Report>,
    /// A report that waits until the one behind it is sent.
    pub(super) held: Option<Report>,
    /// Somebody sends the reports; there is never more than one.
    pub(super) delivering: bool,
    pub(super) delivered: Vec<Delivered>,
    script: Script,
    ring_timeout: Duration,
    time_limit: Duration,
    runnable: bool,
    hang_up_accepted: bool,
    reports: u32,
}

impl Line {
    pub(super) fn place(
        number: LineNumber,
        order: Order,
        script: Script,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut line = Self::new(number, order, script, now);
        line.report(Event::Initiated, now, effects);
        line.later(script.ring_after(), Moment::Rings, effects);
        line
    }

    /// A call comes in: it rings until the customer has it answered or the caller gives up.
    pub(super) fn arrive(
        number: LineNumber,
        order: Order,
        script: Script,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut line = Self::new(number, order, script, now);
        line.record.inbound = true;
        line.record.state = State::Ringing;
        line.record.ringing_at = Some(now);
        line.report(Event::Arrived, now, effects);
        line.later(Some(line.ring_timeout), Moment::RingTimeout, effects);
        line
    }

    fn new(number: LineNumber, order: Order, script: Script, now: Timestamp) -> Self {
        Self {
            number,
            record: Record {
                provider: order.provider,
                id: order.id,
                account: order.account,
                inbound: false,
                to: order.to,
                from: order.from,
                state: State::Queued,
                hangup_requests: 0,
                hangups_carried_out: 0,
                created_at: now,
                updated_at: now,
                ringing_at: None,
                answered_at: None,
                ended_at: None,
                sip_code: None,
                reached_time_limit: false,
                client_state: order.client_state,
                command_id: order.command_id,
                status_callback: order.callback.as_ref().map(|target| target.url.clone()),
                deleted: false,
            },
            callback: order.callback,
            outbox: VecDeque::new(),
            held: None,
            delivering: false,
            delivered: Vec::new(),
            script,
            ring_timeout: order.ring_timeout,
            time_limit: order.time_limit,
            runnable: order.runnable,
            hang_up_accepted: false,
            reports: 0,
        }
    }

    pub(super) fn come(&mut self, moment: Moment, now: Timestamp, effects: &mut Vec<Effect>) {
        match (moment, self.record.state) {
            (Moment::Rings, State::Queued) => self.ring(now, effects),
            (Moment::Answered, State::Ringing) => self.answer(now, effects),
            (Moment::RingTimeout, State::Ringing) => {
                self.end(State::NoAnswer, Some(487), now, effects);
            }
            (Moment::TalkedOut | Moment::TimeLimit, State::InProgress) => {
                self.record.reached_time_limit = moment == Moment::TimeLimit;
                self.end(State::Completed, None, now, effects);
            }
            (Moment::Spoken, State::InProgress) => self.report(Event::Spoken, now, effects),
            (Moment::HangUp, state) if !state.is_over() => self.end_by_request(now, effects),
            _ => {}
        }
    }

    pub(super) fn ring(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.record.state = State::Ringing;
        self.record.ringing_at = Some(now);
        self.report(Event::Ringing, now, effects);
        self.later(Some(self.ring_timeout), Moment::RingTimeout, effects);
        self.later(
            self.script.answer_after_ringing(),
            Moment::Answered,
            effects,
        );
    }

    /// The called party answers, from whichever state before that.
    pub(super) fn answer(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.record.state == State::Queued {
            self.ring(now, effects);
        }
        if !self.runnable {
            self.end(State::Failed, None, now, effects);
            return;
        }
        self.record.state = State::InProgress;
        self.record.answered_at = Some(now);
        self.report(Event::Answered, now, effects);
        // One that came in has asked already.
        if !self.record.inbound {
            self.report(Event::Asks, now, effects);
        }
        self.later(self.script.talk(), Moment::TalkedOut, effects);
        self.later(Some(self.time_limit), Moment::TimeLimit, effects);
    }

    /// Speaks a sentence, which takes `long`.
    pub(super) fn speak(&mut self, long: Duration, effects: &mut Vec<Effect>) {
        self.later(Some(long), Moment::Spoken, effects);
    }

    /// From now on reports go to `url`, all of them.
    pub(super) fn report_to(&mut self, url: String) {
        self.record.status_callback = Some(url.clone());
        self.callback = Some(CallbackTarget::everything_to(url));
    }

    /// Accepts a hang-up that takes effect after `delay`. Accepting it again changes nothing.
    pub(super) fn accept_hang_up(&mut self, delay: Duration, effects: &mut Vec<Effect>) {
        if !self.hang_up_accepted {
            self.hang_up_accepted = true;
            self.later(Some(delay), Moment::HangUp, effects);
        }
    }

    /// Ends the call as its customer asked: a call that nobody answered is `canceled`.
    pub(super) fn end_by_request(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.record.hangups_carried_out += 1;
        if self.record.state == State::InProgress {
            self.end(State::Completed, None, now, effects);
        } else {
            self.end(State::Canceled, Some(487), now, effects);
        }
    }

    pub(super) fn end(
        &mut self,
        state: State,
        sip_code: Option<u16>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        self.record.state = state;
        self.record.ended_at = Some(now);
        self.record.sip_code = sip_code;
        self.report(Event::Completed, now, effects);
    }

    fn report(&mut self, event: Event, now: Timestamp, effects: &mut Vec<Effect>) {
        self.record.updated_at = now;
        let wanted = |target: &CallbackTarget| target.wanted.contains(&event);
        if !self.callback.as_ref().is_some_and(wanted) {
            return;
        }
        self.outbox.push_back(Report {
            event,
            sequence: self.reports,
            at: now,
            call: self.record.clone(),
        });
        self.reports += 1;
        if !self.delivering {
            self.delivering = true;
            effects.push(Effect::Deliver(self.number));
        }
    }

    fn later(&self, after: Option<Duration>, moment: Moment, effects: &mut Vec<Effect>) {
        effects.extend(after.map(|after| Effect::After(after, self.number, moment)));
    }
}
