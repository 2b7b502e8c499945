//! The exchange as a table: no sockets, no time but the one that is passed in.

use std::time::Duration;

use crate::{
    domain::{Timestamp, provider::ProviderKind},
    simulator::{
        call::{CallbackTarget, Effect, Event, LineNumber, Moment, Order, State},
        exchange::{ActRefused, Exchange, HangUp, PartyAct},
        fault::FaultOrder,
        script::{HangUpAnswer, OverAnswer},
    },
};

const STATES: [State; 8] = [
    State::Queued,
    State::Ringing,
    State::InProgress,
    State::Completed,
    State::Busy,
    State::NoAnswer,
    State::Failed,
    State::Canceled,
];

/// The line of the first call of an exchange.
const FIRST: LineNumber = LineNumber(1);

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_790_000_000_000 + second * 1000)
}

fn order(id: &str) -> Order {
    Order {
        provider: ProviderKind::Twilio,
        id: id.to_owned(),
        account: "AC1".to_owned(),
        to: "+15550100101".to_owned(),
        from: "+15550100102".to_owned(),
        callback: Some(CallbackTarget {
            url: "http://127.0.0.1/cb".to_owned(),
            by_get: false,
            wanted: vec![
                Event::Initiated,
                Event::Ringing,
                Event::Answered,
                Event::Completed,
            ],
        }),
        ring_timeout: Duration::from_mins(1),
        time_limit: Duration::from_hours(1),
        runnable: true,
        client_state: None,
        command_id: None,
    }
}

/// An exchange with the call `CA1` in `state`.
fn with_call_in(state: State) -> Exchange {
    let mut exchange = Exchange::default();
    exchange.place(order("CA1"), at(0));
    let acts: &[PartyAct] = match state {
        State::Queued | State::Ringing | State::Canceled => &[],
        State::InProgress => &[PartyAct::Answer],
        State::Completed => &[PartyAct::Answer, PartyAct::Hangup],
        State::Busy => &[PartyAct::Busy],
        State::NoAnswer => &[PartyAct::NoAnswer],
        State::Failed => &[PartyAct::Fail],
    };
    for act in acts {
        exchange.act("CA1", *act, None, at(1)).unwrap();
    }
    if state == State::Ringing {
        moment(&mut exchange, Moment::Rings, at(1));
    }
    if state == State::Canceled {
        exchange.hang_up("AC1", "CA1", false, at(1));
    }
    exchange.take_effects();
    assert_eq!(exchange.find("AC1", "CA1").unwrap().state, state);
    exchange
}

/// Lets a moment come that the call waits for.
fn moment(exchange: &mut Exchange, moment: Moment, now: Timestamp) {
    let number = exchange
        .take_effects()
        .into_iter()
        .find_map(|effect| match effect {
            Effect::After(_, number, waited) if waited == moment => Some(number),
            _ => None,
        });
    exchange.come(number.expect("nobody waits for that"), moment, now);
}

fn state(exchange: &Exchange) -> State {
    exchange.find("AC1", "CA1").unwrap().state
}

/// The reports that are waiting, as event and sequence number.
fn reports(exchange: &mut Exchange) -> Vec<(Event, u32)> {
    let delivered = exchange
        .take_effects()
        .into_iter()
        .find_map(|effect| match effect {
            Effect::Deliver(number) => Some(number),
            Effect::After(..) => None,
        });
    let number = delivered.expect("nothing to deliver");
    std::iter::from_fn(|| exchange.next_report(number))
        .map(|dispatch| (dispatch.report.event, dispatch.report.sequence))
        .collect()
}

#[test]
fn each_act_of_the_called_party_moves_the_call_or_is_refused() {
    let expected = |act: PartyAct, from: State| match (act, from) {
        (PartyAct::Answer, State::Queued | State::Ringing) => Some(State::InProgress),
        (PartyAct::Busy, State::Queued | State::Ringing) => Some(State::Busy),
        (PartyAct::NoAnswer, State::Queued | State::Ringing) => Some(State::NoAnswer),
        (PartyAct::Hangup, State::InProgress) => Some(State::Completed),
        (PartyAct::Fail, State::Queued | State::Ringing | State::InProgress) => Some(State::Failed),
        _ => None,
    };
    let acts = [
        PartyAct::Answer,
        PartyAct::Hangup,
        PartyAct::Busy,
        PartyAct::NoAnswer,
        PartyAct::Fail,
    ];
    for from in STATES {
        for act in acts {
            let mut exchange = with_call_in(from);
            let outcome = exchange.act("CA1", act, None, at(5));
            let to = expected(act, from);
            assert_eq!(state(&exchange), to.unwrap_or(from), "{act:?} {from:?}");
            let refused = to.map_or(Err(ActRefused::Is(from.as_str())), |_| Ok(()));
            assert_eq!(outcome, refused, "{act:?} {from:?}");
        }
    }
}

#[test]
fn a_hang_up_ends_what_is_not_over_and_only_once() {
    for from in STATES {
        for unless_answered in [false, true] {
            let mut exchange = with_call_in(from);
            let before = exchange.find("AC1", "CA1").unwrap().hangups_carried_out;
            let met = exchange.hang_up("AC1", "CA1", unless_answered, at(9));
            let expected = match from {
                State::Queued | State::Ringing => State::Canceled,
                State::InProgress if !unless_answered => State::Completed,
                other => other,
            };
            let call = exchange.find("AC1", "CA1").unwrap();
            assert_eq!(call.state, expected, "{from:?}");
            let carried_out = u32::from(expected != from);
            assert_eq!(call.hangups_carried_out - before, carried_out, "{from:?}");
            assert_eq!(
                matches!(met, HangUp::Over(_, OverAnswer::Error)),
                from.is_over()
            );
            let again = exchange.hang_up("AC1", "CA1", unless_answered, at(10));
            assert_eq!(matches!(again, HangUp::Over(..)), expected.is_over());
        }
    }
}

#[test]
fn a_call_goes_its_way_by_itself_and_reports_each_step() {
    let mut exchange = Exchange::default();
    exchange.script.talk_ms = Some(5000);
    let placed = exchange.place(order("CA1"), at(0));
    assert_eq!(placed.state, State::Queued);
    let number = match exchange.take_effects()[..] {
        [
            Effect::Deliver(number),
            Effect::After(after, _, Moment::Rings),
        ] => {
            assert_eq!(after, Duration::from_millis(100));
            number
        }
        ref other => panic!("{other:?}"),
    };
    exchange.come(number, Moment::Rings, at(1));
    let waits = exchange.take_effects();
    let waits_for = |duration, moment| waits.contains(&Effect::After(duration, number, moment));
    assert!(waits_for(Duration::from_mins(1), Moment::RingTimeout));
    assert!(waits_for(Duration::from_millis(200), Moment::Answered));
    exchange.come(number, Moment::Answered, at(3));
    let waits = exchange.take_effects();
    assert!(waits.contains(&Effect::After(
        Duration::from_hours(1),
        number,
        Moment::TimeLimit
    )));
    exchange.come(number, Moment::TalkedOut, at(8));
    let call = exchange.find("AC1", "CA1").unwrap();
    assert_eq!(
        (call.state, call.connected_seconds()),
        (State::Completed, Some(5))
    );
    let sent: Vec<_> = std::iter::from_fn(|| exchange.next_report(number))
        .map(|dispatch| (dispatch.report.event, dispatch.report.sequence))
        .collect();
    assert_eq!(
        sent,
        [
            (Event::Initiated, 0),
            (Event::Ringing, 1),
            (Event::Answered, 2),
            (Event::Completed, 3)
        ]
    );
}

#[test]
fn a_moment_that_comes_too_late_changes_nothing() {
    for from in STATES {
        let mut exchange = with_call_in(from);
        let late: &[Moment] = match from {
            State::Queued => &[Moment::RingTimeout, Moment::TimeLimit],
            State::Ringing => &[Moment::Rings, Moment::TimeLimit],
            State::InProgress => &[Moment::Rings, Moment::Answered, Moment::RingTimeout],
            _ => &[
                Moment::Rings,
                Moment::Answered,
                Moment::TimeLimit,
                Moment::HangUp,
            ],
        };
        for moment in late {
            exchange.come(FIRST, *moment, at(9));
            assert_eq!(state(&exchange), from, "{moment:?}");
        }
    }
}

#[test]
fn an_accepted_hang_up_takes_effect_later_and_once() {
    let mut exchange = with_call_in(State::InProgress);
    exchange.script.hangup_answer = HangUpAnswer::InProgress;
    for _ in 0..3 {
        let met = exchange.hang_up("AC1", "CA1", false, at(4));
        let HangUp::Accepted(call) = met else {
            panic!("{met:?}");
        };
        assert_eq!(call.state, State::InProgress);
    }
    moment(&mut exchange, Moment::HangUp, at(5));
    assert!(
        exchange
            .take_effects()
            .iter()
            .all(|e| !matches!(e, Effect::After(..)))
    );
    let call = exchange.find("AC1", "CA1").unwrap();
    assert_eq!(
        (call.state, call.hangups_carried_out),
        (State::Completed, 1)
    );
}

#[test]
fn a_call_that_cannot_run_its_instructions_fails_when_answered() {
    let mut exchange = Exchange::default();
    let mut broken = order("CA1");
    broken.runnable = false;
    exchange.place(broken, at(0));
    exchange.act("CA1", PartyAct::Answer, None, at(1)).unwrap();
    assert_eq!(state(&exchange), State::Failed);
}

#[test]
fn a_report_is_overtaken_once_and_the_last_one_never_waits_for_nothing() {
    let mut exchange = Exchange::default();
    let fault = r#"{"provider":"twilio","operation":"callback","times":0,"reorder":true}"#;
    let fault: FaultOrder = serde_json::from_str(fault).unwrap();
    exchange.faults.add(fault.into_fault().unwrap());
    exchange.place(order("CA1"), at(0));
    exchange.act("CA1", PartyAct::Answer, None, at(1)).unwrap();
    exchange.act("CA1", PartyAct::Hangup, None, at(2)).unwrap();
    let mut sequences: Vec<u32> = reports(&mut exchange).iter().map(|(_, n)| *n).collect();
    assert_ne!(sequences, [0, 1, 2, 3]);
    sequences.sort_unstable();
    assert_eq!(sequences, [0, 1, 2, 3]);
}

#[test]
fn a_deleted_record_is_gone_for_the_customer_while_the_call_goes_on() {
    let mut exchange = with_call_in(State::Ringing);
    assert!(exchange.delete("AC1", "CA1"));
    assert!(!exchange.delete("AC1", "CA1"));
    assert!(exchange.find("AC1", "CA1").is_none());
    assert!(matches!(
        exchange.hang_up("AC1", "CA1", false, at(3)),
        HangUp::NoSuchCall
    ));
    exchange.act("CA1", PartyAct::Answer, None, at(4)).unwrap();
    let shown = serde_json::to_value(exchange.shown_one("CA1").unwrap()).unwrap();
    assert_eq!(shown["state"], "in-progress");
    assert_eq!(shown["deleted"], true);
}

#[test]
fn another_accounts_call_is_no_call() {
    let mut exchange = with_call_in(State::Ringing);
    exchange.hear_hang_up("AC2", "CA1");
    assert!(exchange.find("AC2", "CA1").is_none());
    assert!(matches!(
        exchange.hang_up("AC2", "CA1", false, at(3)),
        HangUp::NoSuchCall
    ));
    assert!(!exchange.delete("AC2", "CA1"));
    let call = exchange.find("AC1", "CA1").unwrap();
    assert_eq!((call.state, call.hangup_requests), (State::Ringing, 0));
}

#[test]
fn forgetting_leaves_the_accounts_and_no_late_moment_finds_a_new_call() {
    let mut exchange = with_call_in(State::Queued);
    exchange.admit(crate::simulator::SimulatedAccount {
        provider: ProviderKind::Twilio,
        external_id: "AC1".to_owned(),
        secret: "s".to_owned(),
        incoming_url: None,
    });
    exchange.forget();
    assert!(exchange.shown().is_empty());
    assert_eq!(exchange.secret(ProviderKind::Twilio, "AC1"), Some("s"));
    exchange.place(order("CA2"), at(5));
    for effect in exchange.take_effects() {
        if let Effect::Deliver(number) = effect {
            assert_ne!(number, FIRST);
        }
    }
}
