//! When a call began and ended, and what it costs, whatever the provider's clock says.

use super::{
    Call, CallStatus, Decision, DialState, EndSide, Unchanged, adopt,
    fixture::{
        Event, at, broken_constraints, in_flight, over, per_second, placed, queued, reports,
        ringing, seen, talking, wished, wishes,
    },
};
use crate::domain::{
    Timestamp,
    call::EndReason,
    provider::{DialOutcome, HangUpOutcome, Progress, ProviderKind, Source},
};

/// Times in seconds after the creation, and what the call costs in micros, a thousand a second.
#[derive(Debug, PartialEq)]
struct Bill {
    answered: Option<i64>,
    ended: Option<i64>,
    micros: Option<i64>,
}

fn bill(call: &Call) -> Bill {
    let seconds = |instant: Timestamp| instant.since(at(0)).whole_seconds();
    Bill {
        answered: call.answered_at.map(seconds),
        ended: call.ended_at.map(seconds),
        micros: call.cost.map(|cost| cost.amount_micros),
    }
}

#[test]
#[rustfmt::skip]
fn the_times_and_the_price_of_an_end() {
    let completed = |connected, at: Option<i64>| {
        let progress = over(CallStatus::Completed, connected);
        Event::Seen(seen(progress, at.map(super::fixture::at), Source::Callback))
    };
    let rang_late = || reports(Progress::Ringing, 25).change(&wished(&placed()), at(25)).call;
    let answered_late = || reports(Progress::Answered, 25).change(&wished(&ringing()), at(25)).call;
    // Everything arrives at 30 s; a wish was accepted at 20 s.
    let rows = [
        ("natural: the provider's time",        talking(),           completed(Some(15), Some(25)),  10, 25, 15_000),
        ("its clock is ahead",                  talking(),           completed(Some(15), Some(99)),  10, 30, 20_000),
        ("its clock is behind the answer",      talking(),           completed(Some(15), Some(-99)), 10, 10, 0),
        ("it says no time",                     talking(),           completed(None, None),          10, 30, 20_000),
        ("answer unreported: reckoned",         ringing(),           completed(Some(15), Some(25)),  10, 25, 15_000),
        ("reckoned from now",                   ringing(),           completed(Some(15), None),      15, 30, 15_000),
        ("reckoned not before the creation",    ringing(),           completed(Some(99), Some(25)),  0, 25, 25_000),
        ("wished: nothing past the wish",       wished(&talking()),  completed(Some(15), Some(25)),  10, 20, 10_000),
        ("wished, over just before",            wished(&talking()),  completed(Some(5), Some(15)),   10, 20, 5_000),
        ("wished, no time",                     wished(&talking()),  completed(None, None),          10, 20, 10_000),
        ("wished, no times at all",             wished(&talking()),  Event::HungUp(HangUpOutcome::AlreadyOver), 10, 20, 10_000),
        ("wished, answer unreported",           wished(&ringing()),  completed(Some(15), Some(25)),  10, 20, 10_000),
        ("wished before the answer, reckoned",  wished(&ringing()),  completed(Some(2), Some(25)),   20, 20, 0),
        ("wished before the answer",            answered_late(),     completed(Some(2), Some(27)),   20, 20, 0),
        ("wished before it rang",               rang_late(),         completed(Some(2), Some(29)),   20, 20, 0),
    ];
    for (name, call, event, answered, ended, micros) in rows {
        let call = event.change(&call, at(30)).call;
        let expected = Bill { answered: Some(answered), ended: Some(ended), micros: Some(micros) };
        assert_eq!(bill(&call), expected, "{name}");
        assert_eq!(broken_constraints(&call), [""; 0], "{name}");
    }
    let rang = completed(Some(0), Some(25)).change(&ringing(), at(30)).call;
    assert_eq!(bill(&rang), Bill { answered: None, ended: Some(25), micros: Some(0) });
}

#[test]
fn a_node_whose_clock_is_behind_cannot_put_the_end_before_the_beginning() {
    let refused = DialOutcome::Refused {
        reason: EndReason::ProviderRejected,
    };
    let early = at(-3);
    let call = Event::DialAnswered(refused, 1)
        .change(&in_flight(), early)
        .call;
    assert_eq!(call.ended_at, Some(at(0)));
    let wish = wishes().change(&talking(), early).call.wish.unwrap();
    assert_eq!(wish.requested_at, at(10), "the answer was published");
}

#[test]
fn the_rate_is_the_one_pinned_at_the_creation() {
    let mut call = talking();
    let mut rate = per_second();
    (rate.price_micros, rate.increment_seconds) = (7_000, 60);
    call.rate = Some(rate);
    let cost = reports(over(CallStatus::Completed, None), 30)
        .change(&call, at(30))
        .call
        .cost;
    assert_eq!(cost.unwrap().amount_micros, 420_000);
}

#[test]
fn a_whole_second_told_within_it_is_taken_as_the_moment_it_was_told() {
    let now = at(10).plus(time::Duration::milliseconds(640));
    let answered = seen(Progress::Answered, Some(at(10)), Source::Callback);
    let told_at_once = Event::Seen(answered.clone()).change(&ringing(), now).call;
    assert_eq!(told_at_once.answered_at, Some(now));
    let told_late = Event::Seen(answered).change(&ringing(), at(12)).call;
    assert_eq!(told_late.answered_at, Some(at(10)));
}

#[test]
fn a_call_that_the_provider_has_no_more_ended_when_it_was_last_heard_of() {
    let gone = |call: &Call, unheard_since| Event::Gone(at(unheard_since)).decide(call, at(300));
    let talking = talking();
    assert_eq!(talking.heard_at, at(10));
    for (call, unheard_since) in [(&talking, 9), (&in_flight(), 300)] {
        let decision = gone(call, unheard_since);
        let stale = matches!(decision, Decision::Unchanged(Unchanged::Stale));
        assert!(stale, "{decision:?}");
    }

    let ended = Event::Gone(at(10)).change(&talking, at(300)).call;
    assert_eq!(ended.status, CallStatus::Completed);
    assert_eq!(ended.ended_reason, Some(EndReason::ReconciledGone));
    assert_eq!(ended.ended_side, Some(EndSide::Provider));
    assert_eq!(ended.ended_at, Some(at(10)));
    assert_eq!(ended.cost.unwrap().amount_micros, 0);
    assert_eq!(broken_constraints(&ended), [""; 0]);

    let never_answered = Event::Gone(at(300)).change(&ringing(), at(300)).call;
    assert_eq!(never_answered.status, CallStatus::Canceled);

    let wished = Event::Gone(at(300)).change(&wished(&talking), at(300)).call;
    let wish = wished.wish.unwrap();
    assert_eq!(wish.confirmed_by, Some(Source::Listing));
    assert_eq!(wished.ended_at, Some(wish.requested_at));
    assert_eq!(wished.ended_reason, Some(EndReason::EndedByApi));
}

#[test]
fn an_adopted_call_begins_as_far_as_it_had_come() {
    let table = [
        (CallStatus::Initiating, None, None, 1),
        (CallStatus::Ringing, Some(at(0)), None, 2),
        (CallStatus::InProgress, None, Some(at(0)), 2),
    ];
    for (status, ringing_at, answered_at, facts) in table {
        let mut call = queued();
        call.last_sequence = 0;
        call.dial = DialState::Placed;
        call.provider_call_id = Some("CA0001".to_owned());

        let change = adopt(call, status);

        assert_eq!(change.call.status, status);
        assert_eq!(change.call.ringing_at, ringing_at);
        assert_eq!(change.call.answered_at, answered_at);
        assert_eq!(change.facts.len(), facts);
        assert!(change.jobs.is_empty());
        assert_eq!(broken_constraints(&change.call), [""; 0]);
    }
}

#[test]
fn a_call_that_was_answered_ends_as_one_whatever_its_provider_makes_of_it() {
    for (told, kept) in [
        (CallStatus::Busy, CallStatus::Completed),
        (CallStatus::NoAnswer, CallStatus::Completed),
        (CallStatus::Canceled, CallStatus::Completed),
        (CallStatus::Failed, CallStatus::Failed),
    ] {
        let seen = seen(over(told, Some(0)), Some(at(25)), Source::Fetch);
        let call = Event::Seen(seen).change(&talking(), at(30)).call;
        assert_eq!(call.status, kept);
        assert_eq!(call.ended_reason, Some(EndReason::of_natural_end(kept)));
        assert_eq!(broken_constraints(&call), [""; 0], "{told:?}");
    }
}

#[test]
fn a_call_that_outlives_its_ringing_where_no_answer_shows_is_a_conversation() {
    let mut call = placed();
    let dialled = call.dial_started_at.unwrap();
    let after = |seconds: i32| dialled.plus(time::Duration::seconds(seconds.into()));
    let (ringing, talking) = (
        call.limits.ring_timeout_seconds,
        call.limits.max_duration_seconds,
    );
    let limit = (after(ringing + 60), EndReason::RingTimeout);
    assert_eq!(call.limit_reached_at(), Some(limit));
    call.provider = ProviderKind::Telnyx;
    let limit = (after(ringing + talking), EndReason::MaxDuration);
    assert_eq!(call.limit_reached_at(), Some(limit));
}
