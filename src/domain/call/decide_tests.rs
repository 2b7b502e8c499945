//! What becomes of a call, case by case: a state, what happens at 30 s, and the outcome in a line.
//!
//! A line names what is different afterwards and nothing else: the status, the dial, the wish with
//! its evidence, how it ended, the facts, the jobs. Times and prices are in `ending_tests.rs`, what
//! holds in every history in `history_tests.rs`.

use super::{
    Call, CallStatus, DialState, EndReason, EndState,
    decide::{Decision, Unchanged},
    fixture::{
        Event, SID, at, broken_constraints, ending, in_flight, over, placed, queued, reports,
        ringing, seen, talking, unknown, wished, wishes,
    },
};
use crate::domain::{
    Timestamp,
    job::JobKind,
    provider::{DialOutcome, HangUpOutcome, LookupOutcome, Observation, Progress, Source},
};

type Row = (&'static str, Call, Event, &'static str);

fn check(rows: impl IntoIterator<Item = Row>) {
    check_at(at(30), rows);
}

fn check_at(now: Timestamp, rows: impl IntoIterator<Item = Row>) {
    let wrong: Vec<String> = rows
        .into_iter()
        .filter_map(|(name, call, event, expected)| {
            let told = tell(&call, &event.decide(&call, now));
            (told != expected).then(|| format!("{name}\n  expected {expected}\n  but      {told}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What a decision changes, in a line.
fn tell(before: &Call, decision: &Decision) -> String {
    let change = match decision {
        Decision::Unchanged(why) => return unchanged(*why).to_owned(),
        Decision::Change(change) => change,
    };
    let call = &change.call;
    assert_eq!(call.version, before.version + 1);
    assert_eq!(broken_constraints(call), [""; 0]);
    let mut told = Vec::new();
    if call.status != before.status {
        told.push(call.status.as_str().to_owned());
    }
    if let Some((reason, side)) = call.ended_reason.zip(call.ended_side) {
        let side: &str = side.into();
        told.push(format!("{} ({side})", reason.as_str()));
    }
    if call.dial != before.dial {
        let dial: &str = call.dial.into();
        told.push(format!("dial {dial}"));
    }
    if let Some(wish) = &call.wish
        && before.wish.as_ref().map(|wish| wish.state) != Some(wish.state)
    {
        let state: &str = wish.state.into();
        told.push(format!("wish {state}"));
        told.extend(wish.confirmed_by.map(|source| {
            let source: &str = source.into();
            format!("by {source}")
        }));
    }
    told.extend(change.facts.iter().map(|fact| {
        let kind = fact.kind.as_str();
        format!("+{}", kind.trim_start_matches("event_phone_call_"))
    }));
    told.extend(change.jobs.iter().map(|job| format!("!{}", job.as_str())));
    if change.drop_jobs {
        told.push("jobs dropped".to_owned());
    }
    told.join(" ")
}

fn unchanged(why: Unchanged) -> &'static str {
    match why {
        Unchanged::Over => "-- over",
        Unchanged::Joined => "-- joined",
        Unchanged::Stale => "-- stale",
    }
}

fn completed() -> Call {
    reports(over(CallStatus::Completed, Some(10)), 20)
        .change(&talking(), at(20))
        .call
}

fn ends(status: CallStatus) -> Event {
    reports(over(status, None), 30)
}

fn of_another_call(mut observation: Observation) -> Observation {
    "CA9999".clone_into(&mut observation.provider_call_id);
    observation
}

fn found(progress: Progress) -> Observation {
    seen(progress, None, Source::Fetch)
}

fn for_reason(reason: EndReason) -> Event {
    Event::End(reason)
}

#[test]
#[rustfmt::skip]
fn an_end_is_accepted_in_every_state() {
    use EndState::{Accepted, Failed, Requested};
    let admin = || for_reason(EndReason::AdminCancel);
    check([
        ("not sent yet: taken back",    queued(),                       wishes(), "canceled canceled_by_api (local) wish confirmed by never_dialed +end_requested +ended +did_not_connect jobs dropped"),
        ("another reason is kept",      queued(),                       admin(),  "canceled admin_cancel (local) wish confirmed by never_dialed +end_requested +ended +did_not_connect jobs dropped"),
        ("in flight: waits for the id", in_flight(),                    wishes(), "wish requested +end_requested"),
        ("answer lost: waits",          unknown(),                      wishes(), "wish requested +end_requested"),
        ("placed",                      placed(),                       wishes(), "wish requested +end_requested !hang_up_call"),
        ("ringing",                     ringing(),                      wishes(), "wish requested +end_requested !hang_up_call"),
        ("talking",                     talking(),                      wishes(), "wish requested +end_requested !hang_up_call"),
        ("a second wish joins",         wished(&talking()),             wishes(), "-- joined"),
        ("before the id is known too",  wished(&in_flight()),           admin(),  "-- joined"),
        ("while it is asked again",     ending(&talking(), Requested),  admin(),  "-- joined"),
        ("while evidence is awaited",   ending(&talking(), Accepted),   admin(),  "-- joined"),
        ("while it is unconfirmed",     unconfirmed(),                  admin(),  "-- joined"),
        ("refused: asked again",        ending(&talking(), Failed),     admin(),  "wish requested +end_requested !hang_up_call"),
        ("over",                        completed(),                    wishes(), "-- over"),
    ]);
}

#[test]
fn a_wish_that_is_asked_again_keeps_what_was_promised_first() {
    let failed = ending(&talking(), EndState::Failed);
    let again = for_reason(EndReason::AdminCancel).change(&failed, at(40));
    let wish = again.call.wish.unwrap();
    assert_eq!(
        (wish.requested_at, wish.reason),
        (at(20), EndReason::EndedByApi)
    );
    assert_eq!((wish.attempts, wish.retry_at), (1, None));
}

/// Accepted at 21 s, and still without evidence more than five minutes after the wish.
fn unconfirmed() -> Call {
    let accepted = ending(&talking(), EndState::Accepted);
    Event::HungUp(HangUpOutcome::Accepted)
        .change(&accepted, at(320))
        .call
}

#[test]
#[rustfmt::skip]
fn reports_move_a_call_forward_and_never_back() {
    use CallStatus::{Busy, Canceled, Completed, Failed, NoAnswer};
    check([
        ("rings",                       placed(),   reports(Progress::Ringing, 3),   "ringing +ringing"),
        ("answered",                    ringing(),  reports(Progress::Answered, 9),  "in-progress +connected"),
        ("answered without ringing",    placed(),   reports(Progress::Answered, 9),  "in-progress +connected"),
        ("rang, told late",             talking(),  reports(Progress::Ringing, 3),   "-- stale"),
        ("told twice",                  ringing(),  reports(Progress::Ringing, 2),   "-- stale"),
        ("placed, told late",           ringing(),  reports(Progress::Placed, 1),    "-- stale"),
        ("completed",                   talking(),  ends(Completed), "completed remote_hangup (remote) +ended +billed jobs dropped"),
        ("completed, nothing before",   placed(),   ends(Completed), "completed remote_hangup (remote) +ended jobs dropped"),
        ("busy",                        ringing(),  ends(Busy),      "busy busy (remote) +ended +did_not_connect jobs dropped"),
        ("nobody answers",              ringing(),  ends(NoAnswer),  "no-answer no_answer (remote) +ended +did_not_connect jobs dropped"),
        ("fails",                       placed(),   ends(Failed),    "failed provider_error (provider) +ended +did_not_connect jobs dropped"),
        ("canceled, not by us",         ringing(),  ends(Canceled),  "canceled unknown (provider) +ended +did_not_connect jobs dropped"),
        ("over, then answered",         completed(), reports(Progress::Answered, 9), "-- over"),
        ("over, then busy",             completed(), ends(Busy),                     "-- over"),
        ("a read that shows no news",   talking(),  Event::Seen(found(Progress::Answered)), ""),
        ("about another call",          talking(),  Event::Seen(of_another_call(found(over(Completed, None)))), "-- stale"),
    ]);
}

#[test]
fn a_report_gives_a_better_reason_than_its_status() {
    let declined = Progress::Ended {
        status: CallStatus::NoAnswer,
        connected_seconds: None,
        reason: Some(EndReason::Declined),
        cause: serde_json::json!({"SipResponseCode": "603"}),
    };
    let call = reports(declined, 30).change(&ringing(), at(30)).call;
    assert_eq!(call.ended_reason, Some(EndReason::Declined));
    assert_eq!(call.provider_cause.unwrap()["SipResponseCode"], "603");
}

#[test]
#[rustfmt::skip]
fn the_first_report_teaches_the_provider_s_id_and_a_waiting_wish_goes_on() {
    use CallStatus::Completed;
    let wish = || wished(&in_flight());
    let lost = || wished(&unknown());
    check([
        ("placed",            in_flight(), reports(Progress::Placed, 1),   "dial placed"),
        ("ringing",           unknown(),   reports(Progress::Ringing, 1),  "ringing dial placed +ringing"),
        ("wished, placed",    wish(),      reports(Progress::Placed, 1),   "dial placed !hang_up_call"),
        ("wished, ringing",   wish(),      reports(Progress::Ringing, 1),  "ringing dial placed +ringing !hang_up_call"),
        ("wished, answered",  lost(),      reports(Progress::Answered, 1), "in-progress dial placed +connected !hang_up_call"),
        ("wished, over",      lost(),      ends(Completed),                "completed ended_by_api (local) dial placed wish confirmed by callback +ended jobs dropped"),
        ("wished, read",      lost(),      Event::LookedUp(LookupOutcome::Found(found(Progress::Ringing))), "ringing dial placed +ringing !hang_up_call"),
    ]);
    let call = reports(Progress::Placed, 1).change(&in_flight(), at(2)).call;
    assert_eq!(call.provider_call_id.as_deref(), Some(SID));
}

#[test]
#[rustfmt::skip]
fn the_outcomes_of_a_dial() {
    let answer = |outcome| Event::DialAnswered(outcome, 1);
    let last = |outcome| Event::DialAnswered(outcome, 4);
    let placed_as = |observation| answer(DialOutcome::Placed(observation));
    let news = || seen(Progress::Placed, None, Source::DialAnswer);
    let not_sent = || DialOutcome::NotSent { after: None };
    let refused = || DialOutcome::Refused { reason: EndReason::InvalidDestination };
    let requeued = || answer(not_sent()).change(&in_flight(), at(5)).call;
    check([
        ("begins",                     queued(),             Event::DialStarts,            "dial in_flight"),
        ("begins once",                in_flight(),          Event::DialStarts,            "-- stale"),
        ("not while it is looked for", unknown(),            Event::DialStarts,            "-- stale"),
        ("placed",                     in_flight(),          placed_as(news()),            "dial placed"),
        ("the callback was faster",    ringing(),            placed_as(news()),            "-- stale"),
        ("placed, with a wish",        wished(&in_flight()), placed_as(news()),            "dial placed !hang_up_call"),
        ("not sent: again",            in_flight(),          answer(not_sent()),           "dial queued"),
        ("not sent, told twice",       requeued(),           answer(not_sent()),           ""),
        ("not sent, found out late",   unknown(),            answer(not_sent()),           "dial queued"),
        ("not sent, with a wish",      wished(&in_flight()), answer(not_sent()),           "canceled ended_by_api (local) wish confirmed by never_dialed +ended +did_not_connect jobs dropped"),
        ("not sent, once too often",   in_flight(),          last(not_sent()),             "failed provider_error (provider) +error +ended +did_not_connect jobs dropped"),
        ("lost",                       in_flight(),          answer(DialOutcome::Unknown), "dial unknown"),
        ("lost, with a wish",          wished(&in_flight()), answer(DialOutcome::Unknown), "dial unknown"),
        ("lost, but it rings",         ringing(),            answer(DialOutcome::Unknown), "-- stale"),
        ("refused",                    in_flight(),          answer(refused()),            "failed invalid_destination (provider) +error +ended +did_not_connect jobs dropped"),
        ("refused, with a wish",       wished(&in_flight()), answer(refused()),            "failed ended_by_api (local) wish confirmed by dial_answer +error +ended +did_not_connect jobs dropped"),
        ("refused, but it rings",      ringing(),            answer(refused()),            "-- stale"),
        ("over",                       completed(),          answer(refused()),            "-- over"),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_lost_dial_is_looked_for_and_given_up_after_a_minute() {
    let looked = Event::LookedUp;
    let nothing = || looked(LookupOutcome::Nothing);
    let unavailable = || looked(LookupOutcome::Unavailable { after: None });
    let requeued = || Event::DialAnswered(DialOutcome::NotSent { after: None }, 1).change(&unknown(), at(5)).call;
    check_at(at(59), [
        ("found",                  unknown(),          looked(LookupOutcome::Found(found(Progress::Answered))), "in-progress dial placed +connected"),
        ("found over",             unknown(),          looked(LookupOutcome::Found(found(over(CallStatus::Busy, None)))), "busy busy (remote) dial placed +ended +did_not_connect jobs dropped"),
        ("nothing yet",            unknown(),          nothing(),                              ""),
        ("nothing yet, restarted", in_flight(),        nothing(),                              "dial unknown"),
        ("nothing yet, wished",    wished(&unknown()), nothing(),                              ""),
        ("several",                in_flight(),        looked(LookupOutcome::Ambiguous(2)),    "dial unknown"),
        ("no answer",              in_flight(),        unavailable(),                          "dial unknown"),
        ("it rings meanwhile",     ringing(),          nothing(),                              "-- stale"),
        ("not sent after all",     requeued(),         nothing(),                              ""),
    ]);
    check_at(at(60), [
        ("nothing in a minute",    unknown(),          nothing(),                              "failed platform_error (local) +error +ended +did_not_connect jobs dropped"),
        ("nothing, with a wish",   wished(&unknown()), nothing(),                              "canceled ended_by_api (local) wish confirmed by fetch +ended +did_not_connect jobs dropped"),
        ("several is a guess",     unknown(),          looked(LookupOutcome::Ambiguous(2)),    ""),
        ("no answer is no proof",  unknown(),          unavailable(),                          ""),
        ("not sent after all",     requeued(),         nothing(),                              ""),
    ]);
    assert_eq!(nothing().change(&requeued(), at(60)).call.dial, DialState::Queued);
}

#[test]
#[rustfmt::skip]
fn the_outcomes_of_a_hang_up() {
    use EndState::{Accepted, Failed, Requested};
    let asked = || wished(&talking());
    let accepted = || ending(&talking(), Accepted);
    let heard = Event::HungUp;
    let proof = || seen(over(CallStatus::Completed, Some(10)), Some(at(20)), Source::HangUpAnswer);
    let retry = || heard(HangUpOutcome::Retry { after: None });
    check([
        ("the answer is proof",       asked(),            heard(HangUpOutcome::Ended(proof())),  "completed ended_by_api (local) wish confirmed by hang_up_answer +ended +billed jobs dropped"),
        ("proof of another's end",    asked(),            heard(HangUpOutcome::Ended(of_another_call(proof()))), ""),
        ("over already, answered",    asked(),            heard(HangUpOutcome::AlreadyOver),     "completed ended_by_api (local) wish confirmed by hang_up_answer +ended +billed jobs dropped"),
        ("over already, unanswered",  wished(&ringing()), heard(HangUpOutcome::AlreadyOver),     "canceled ended_by_api (local) wish confirmed by hang_up_answer +ended +did_not_connect jobs dropped"),
        ("accepted",                  asked(),            heard(HangUpOutcome::Accepted),        "wish accepted"),
        ("not now",                   asked(),            retry(),                               ""),
        ("not now, accepted before",  accepted(),         retry(),                               ""),
        ("unknown there",             asked(),            heard(HangUpOutcome::NotFound),        "wish failed +error"),
        ("refused",                   asked(),            heard(HangUpOutcome::Refused),         "wish failed +error"),
        ("refused, accepted before",  accepted(),         heard(HangUpOutcome::Refused),         "wish failed +error"),
        ("another answer is better",  ending(&talking(), Failed), heard(HangUpOutcome::Accepted), "wish accepted !hang_up_call"),
        ("another answer is unclear", ending(&talking(), Failed), retry(),                       "wish requested !hang_up_call"),
        ("failed, then proof",        ending(&talking(), Failed), ends(CallStatus::Completed),   "completed ended_by_api (local) wish confirmed by callback +ended +billed jobs dropped"),
        ("over meanwhile",            completed(),        heard(HangUpOutcome::Accepted),        "-- over"),
        ("asked again",               ending(&talking(), Requested), heard(HangUpOutcome::Accepted), "wish accepted"),
    ]);
}

#[test]
#[rustfmt::skip]
fn without_evidence_for_five_minutes_it_is_escalated_once() {
    let accepted = || ending(&talking(), EndState::Accepted);
    let still = || Event::HungUp(HangUpOutcome::Accepted);
    let retry = || Event::HungUp(HangUpOutcome::Retry { after: None });
    check_at(at(319), [
        ("not yet",          accepted(),         still(), ""),
    ]);
    check_at(at(320), [
        ("now",              accepted(),         still(), "wish unconfirmed +error"),
        ("another's end",    accepted(),         Event::HungUp(HangUpOutcome::Ended(of_another_call(found(over(CallStatus::Completed, None))))), "wish unconfirmed +error"),
        ("never accepted",   wished(&talking()), retry(), "wish unconfirmed +error"),
        ("once",             unconfirmed(),      still(), ""),
        ("once, not now",    unconfirmed(),      retry(), ""),
        ("refused at last",  unconfirmed(),      Event::HungUp(HangUpOutcome::Refused), "wish failed +error"),
        ("proof at last",    unconfirmed(),      ends(CallStatus::Completed), "completed ended_by_api (local) wish confirmed by callback +ended +billed jobs dropped"),
    ]);
    let wish = unconfirmed().wish.unwrap();
    assert_eq!((wish.attempts, wish.retry_at), (2, Some(at(325))));
}

#[test]
#[rustfmt::skip]
fn without_a_rate_and_in_tests_no_bill_is_published() {
    let without_rate = || Call { rate: None, ..talking() };
    let test = || Call { test: true, ..talking() };
    let unanswered = || ringing();
    check([
        ("no rate",  without_rate(), ends(CallStatus::Completed), "completed remote_hangup (remote) +ended jobs dropped"),
        ("a test",   test(),         ends(CallStatus::Completed), "completed remote_hangup (remote) +ended jobs dropped"),
        ("no time",  unanswered(),   ends(CallStatus::Completed), "completed remote_hangup (remote) +ended jobs dropped"),
    ]);
    assert_eq!(ends(CallStatus::Completed).change(&without_rate(), at(30)).call.cost, None);
}

#[test]
fn the_ended_fact_shows_the_call_as_it_is_stored() {
    let change = ends(CallStatus::Completed).change(&wished(&talking()), at(30));
    let ended: serde_json::Value = serde_json::from_str(change.facts[0].data.get()).unwrap();
    let stored = serde_json::to_value(change.call.view()).unwrap();
    let (mut shown, mut stored) = (ended["call"].clone(), stored);
    // The bill is told by the fact after it.
    assert_eq!(shown["last_sequence"].take(), change.facts[0].sequence);
    assert_eq!(stored["last_sequence"].take(), change.call.last_sequence);
    assert_eq!(shown, stored);
    assert_eq!(change.jobs, [JobKind::HangUpCall; 0]);
}
