//! Calls, what happens to them, and the rules of their table, for the tests of this folder.
//!
//! Every call here came about by [`super::start`] and [`super::decide`]: a state that the function
//! cannot reach is not tested against.

use proptest::{option, prelude::*};
use serde_json::json;
use time::Duration;
use uuid::Uuid;

use super::{
    Call, CallStatus, Change, Decision, DialState, Direction, EndReason, EndState, Input, Limits,
    Metadata, decide, start,
};
use crate::domain::{
    AgentId, CallId, OrganizationId, ProviderAccountId, RateCardId, Timestamp,
    billing::Rate,
    provider::{
        DialOutcome, HangUpOutcome, LookupOutcome, Observation, Progress, ProviderKind, Source,
    },
};

/// The provider's name for the call of these tests.
pub(super) const SID: &str = "CA0001";

/// `seconds` after the call was created.
pub(super) fn at(seconds: i64) -> Timestamp {
    at_millis(seconds * 1000)
}

pub(super) fn at_millis(millis: i64) -> Timestamp {
    const CREATED: i64 = 1_900_000_000_000;
    Timestamp::from_unix_millis(CREATED + millis)
}

/// An [`Input`] that owns what it refers to.
#[derive(Clone, Debug)]
pub(super) enum Event {
    End(EndReason),
    Seen(Observation),
    /// Unheard of since this instant.
    Gone(Timestamp),
    DialStarts,
    DialAnswered(DialOutcome, i32),
    LookedUp(LookupOutcome),
    HungUp(HangUpOutcome),
}

impl Event {
    pub(super) fn decide(&self, call: &Call, now: Timestamp) -> Decision {
        let input = match self {
            Self::End(reason) => Input::End {
                reason: *reason,
                initiator: "token:1",
                note: None,
            },
            Self::Seen(observation) => Input::Observed(observation),
            Self::Gone(unheard_since) => Input::Gone {
                unheard_since: *unheard_since,
            },
            Self::DialStarts => Input::DialStarts,
            Self::DialAnswered(outcome, attempt) => Input::DialAnswered {
                outcome,
                attempt: *attempt,
            },
            Self::LookedUp(outcome) => Input::DialLookedUp(outcome),
            Self::HungUp(outcome) => Input::HungUp {
                outcome,
                retry_at: now.plus(Duration::seconds(5)),
            },
        };
        decide(call, &input, now)
    }

    /// The change that it makes, which it must.
    pub(super) fn change(&self, call: &Call, now: Timestamp) -> Change {
        match self.decide(call, now) {
            Decision::Change(change) => *change,
            Decision::Unchanged(why) => panic!("{self:?} changes nothing: {why:?}"),
        }
    }
}

/// A call as it is recorded when it is to be dialled later: created, and asked for, at 0 s.
pub(super) fn queued() -> Call {
    start(Call {
        organization_id: OrganizationId(Uuid::from_u128(1)),
        id: CallId(Uuid::from_u128(2)),
        agent_id: AgentId(Uuid::from_u128(3)),
        provider: ProviderKind::Twilio,
        provider_account_id: ProviderAccountId(Uuid::from_u128(4)),
        provider_call_id: None,
        provider_host: None,
        version: 1,
        last_sequence: 0,
        status: CallStatus::Initiating,
        direction: Direction::Outbound,
        from: "+15550100".parse().unwrap(),
        to: "+15550101".parse().unwrap(),
        client_reference: None,
        metadata: Metadata::from(&json!({})),
        test: false,
        limits: Limits::default(),
        dial: DialState::Queued,
        dial_started_at: None,
        created_at: at(0),
        ringing_at: None,
        answered_at: None,
        ended_at: None,
        ended_reason: None,
        ended_side: None,
        provider_cause: None,
        wish: None,
        rate: Some(per_second()),
        cost: None,
        heard_at: at(0),
    })
    .call
}

/// The provider is being asked since 0 s.
pub(super) fn in_flight() -> Call {
    Event::DialStarts.change(&queued(), at(0)).call
}

/// The provider's answer to the dial was lost at 1 s.
pub(super) fn unknown() -> Call {
    let lost = Event::DialAnswered(DialOutcome::Unknown, 1);
    lost.change(&in_flight(), at(1)).call
}

/// The provider has the call since 1 s.
pub(super) fn placed() -> Call {
    let placed = DialOutcome::Placed(seen(Progress::Placed, None, Source::DialAnswer));
    Event::DialAnswered(placed, 1)
        .change(&in_flight(), at(1))
        .call
}

/// It rings since 2 s.
pub(super) fn ringing() -> Call {
    reports(Progress::Ringing, 2).change(&placed(), at(2)).call
}

/// It is answered since 10 s.
pub(super) fn talking() -> Call {
    reports(Progress::Answered, 10)
        .change(&ringing(), at(10))
        .call
}

/// `call`, whose end was wished for at 20 s.
pub(super) fn wished(call: &Call) -> Call {
    wishes().change(call, at(20)).call
}

/// `call`, whose end was wished for at 20 s and has come to `state` at 21 s.
pub(super) fn ending(call: &Call, state: EndState) -> Call {
    let wished = wished(call);
    let outcome = match state {
        EndState::Requested => HangUpOutcome::Retry { after: None },
        EndState::Accepted => HangUpOutcome::Accepted,
        EndState::Failed => HangUpOutcome::Refused,
        EndState::Unconfirmed | EndState::Confirmed => panic!("takes longer than a second"),
    };
    Event::HungUp(outcome).change(&wished, at(21)).call
}

/// A wish of the API.
pub(super) fn wishes() -> Event {
    Event::End(EndReason::EndedByApi)
}

/// A callback about the call, with the provider's time in seconds.
pub(super) fn reports(progress: Progress, seconds: i64) -> Event {
    Event::Seen(seen(progress, Some(at(seconds)), Source::Callback))
}

pub(super) fn seen(progress: Progress, at: Option<Timestamp>, source: Source) -> Observation {
    Observation {
        provider_call_id: SID.to_owned(),
        progress,
        at,
        source,
        host: None,
    }
}

/// An end by the provider's word for it, and the connected seconds that it counts.
pub(super) fn over(status: CallStatus, connected_seconds: Option<i64>) -> Progress {
    Progress::Ended {
        status,
        connected_seconds,
        reason: None,
        cause: json!({"CallStatus": status}),
    }
}

/// 1,000 micros for each second begun.
pub(super) fn per_second() -> Rate {
    Rate {
        rate_card_id: RateCardId(Uuid::from_u128(5)),
        currency: "USD".to_owned(),
        price_micros: 1_000,
        price_seconds: 1,
        increment_seconds: 1,
        minimum_seconds: 0,
    }
}

/// The CHECK constraints of `calls` (`migrations/0003_calls.sql`) that the call would break.
pub(super) fn broken_constraints(call: &Call) -> Vec<&'static str> {
    let live = call.ended_at.is_none();
    let billable = call.cost.map(|cost| cost.billable_millis);
    let connected = call.answered_at.zip(call.ended_at);
    let connected = connected.map(|(from, to)| to.since(from).whole_milliseconds());
    let answered_at = call.answered_at.unwrap_or(call.created_at);
    let ended_by_wish = call.wish.as_ref().is_none_or(|wish| {
        call.ended_at == Some(wish.requested_at) && call.ended_reason == Some(wish.reason)
    });
    [
        ("version and last_sequence", {
            call.version >= 1 && call.last_sequence >= 1
        }),
        (
            "calls_terminal_has_end",
            call.status.is_terminal()
                == (!live && call.ended_reason.is_some() && call.ended_side.is_some()),
        ),
        (
            "calls_live_has_no_end",
            !live || (call.ended_reason.is_none() && call.ended_side.is_none()),
        ),
        (
            "calls_times_in_order",
            call.created_at <= answered_at && call.ended_at.is_none_or(|end| answered_at <= end),
        ),
        ("calls_ended_when_wished", live || ended_by_wish),
        (
            "calls_priced_when_over",
            call.cost.is_some() == (!live && call.rate.is_some()),
        ),
        (
            "calls_billable_within_call",
            billable.is_none_or(|millis| {
                millis == 0
                    || (millis > 0 && connected.is_some_and(|most| i128::from(millis) <= most))
            }),
        ),
        (
            "calls_placed_has_provider_id",
            (call.dial == DialState::Placed) == call.provider_call_id.is_some(),
        ),
    ]
    .into_iter()
    .filter_map(|(name, holds)| (!holds).then_some(name))
    .collect()
}

const TERMINAL: [CallStatus; 5] = [
    CallStatus::Completed,
    CallStatus::Failed,
    CallStatus::Busy,
    CallStatus::NoAnswer,
    CallStatus::Canceled,
];

const SOURCES: [Source; 4] = [
    Source::Callback,
    Source::Fetch,
    Source::HangUpAnswer,
    Source::DialAnswer,
];

pub(super) fn terminal() -> impl Strategy<Value = Progress> {
    let connected = option::of(-1..1_000_i64);
    (prop::sample::select(TERMINAL.as_slice()), connected)
        .prop_map(|(status, connected)| over(status, connected))
}

pub(super) fn progress() -> impl Strategy<Value = Progress> {
    prop_oneof![
        Just(Progress::Placed),
        Just(Progress::Ringing),
        Just(Progress::Answered),
        terminal(),
    ]
}

/// A report, now and then about another call, by a clock that need not be right.
pub(super) fn observation(
    progress: impl Strategy<Value = Progress>,
) -> impl Strategy<Value = Observation> {
    let time = option::of((-100..1_000_i64).prop_map(at));
    let id = prop_oneof![9 => Just(SID), 1 => Just("CA9999")];
    (progress, time, prop::sample::select(SOURCES.as_slice()), id).prop_map(
        |(progress, time, source, id)| Observation {
            provider_call_id: id.to_owned(),
            ..seen(progress, time, source)
        },
    )
}

pub(super) fn dial_outcome() -> impl Strategy<Value = DialOutcome> {
    prop_oneof![
        observation(progress()).prop_map(DialOutcome::Placed),
        Just(DialOutcome::NotSent { after: None }),
        Just(DialOutcome::Unknown),
        Just(DialOutcome::Refused {
            reason: EndReason::ProviderRejected
        }),
    ]
}

pub(super) fn lookup_outcome() -> impl Strategy<Value = LookupOutcome> {
    prop_oneof![
        observation(progress()).prop_map(LookupOutcome::Found),
        Just(LookupOutcome::Nothing),
        Just(LookupOutcome::Ambiguous(2)),
        Just(LookupOutcome::Unavailable { after: None }),
    ]
}

pub(super) fn hang_up_outcome() -> impl Strategy<Value = HangUpOutcome> {
    prop_oneof![
        1 => observation(terminal()).prop_map(HangUpOutcome::Ended),
        1 => Just(HangUpOutcome::AlreadyOver),
        4 => Just(HangUpOutcome::Accepted),
        4 => Just(HangUpOutcome::Retry { after: None }),
        1 => Just(HangUpOutcome::NotFound),
        2 => Just(HangUpOutcome::Refused),
    ]
}

pub(super) fn wish() -> impl Strategy<Value = EndReason> {
    prop::sample::select(
        [
            EndReason::EndedByApi,
            EndReason::AdminCancel,
            EndReason::MaxDuration,
        ]
        .as_slice(),
    )
}
