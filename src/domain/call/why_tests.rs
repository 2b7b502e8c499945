//! The stories that the evidence tells.

use serde_json::json;

use super::{
    Call, CallStatus, EndReason, EndState, Evidence, FactType, RecordedAct, RecordedAttempt,
    RecordedFact,
    fixture::{Event, at, at_millis, ending, over, reports, talking, wished},
    why,
};
use crate::domain::{
    Timestamp,
    provider::{HangUpOutcome, Source},
};

fn fact(sequence: i64, kind: FactType, recorded_at: Timestamp) -> RecordedFact {
    RecordedFact {
        sequence,
        kind,
        from_status: CallStatus::InProgress,
        to_status: CallStatus::InProgress,
        at: recorded_at,
        recorded_at,
        error: None,
    }
}

fn attempt(from: i64, until: i64, outcome: &str, status: Option<i32>) -> RecordedAttempt {
    RecordedAttempt {
        started_at: at_millis(from),
        finished_at: at_millis(until),
        outcome: outcome.to_owned(),
        provider_status: status,
        provider_code: None,
        provider_message: Some("Too | many".to_owned()),
    }
}

fn act(action: &str, at: Timestamp) -> RecordedAct {
    RecordedAct {
        at,
        actor: "token:1".to_owned(),
        action: action.to_owned(),
        request_id: Some("req_1".to_owned()),
    }
}

/// A call whose end was wished for at 20 s and shown by the answer to the second hang-up.
fn ended() -> (Call, Evidence) {
    let call = Event::HungUp(HangUpOutcome::AlreadyOver)
        .change(&ending(&talking(), EndState::Requested), at(22))
        .call;
    let evidence = Evidence {
        // In no order, as records come.
        acts: vec![act("call.end", at(20)), act("call.create", at(0))],
        attempts: vec![
            attempt(21_000, 22_000, "already_over", Some(404)),
            attempt(20_010, 20_450, "retry", Some(503)),
        ],
        facts: vec![
            fact(5, FactType::Ended, at(22)),
            fact(4, FactType::EndRequested, at(20)),
            fact(1, FactType::Started, at(0)),
            RecordedFact {
                recorded_at: at_millis(10_300),
                ..fact(3, FactType::Connected, at(10))
            },
        ],
    };
    (call, evidence)
}

#[test]
fn the_steps_are_in_the_order_of_their_records_and_say_how_long_each_took() {
    let (call, evidence) = ended();

    let why = why(&call, evidence);

    let told: Vec<_> = why
        .steps
        .iter()
        .map(|step| (step.step, step.after_milliseconds, step.took_milliseconds))
        .collect();
    assert_eq!(
        told,
        [
            ("started", 0, None),
            (
                "dialled",
                call.dial_started_at
                    .map_or(0, |dialled| dialled.unix_millis() - at(0).unix_millis()),
                None
            ),
            (
                "connected",
                10_300
                    - (call.dial_started_at.expect("dialled").unix_millis() - at(0).unix_millis()),
                None
            ),
            ("end_requested", 9_700, None),
            ("hang_up", 450, Some(440)),
            ("hang_up", 1_550, Some(1_000)),
            ("ended", 0, None),
        ]
    );
    let asked = &why.steps[3];
    assert_eq!(asked.by.as_deref(), Some("token:1"));
    assert_eq!(asked.request_id.as_deref(), Some("req_1"));
    assert_eq!(
        why.steps[2].happened_at,
        Some(at(10)),
        "by the provider's clock"
    );
    assert_eq!(
        (why.state, why.ended_reason, why.confirmed_by),
        (
            "ended",
            Some(EndReason::EndedByApi),
            Some(Source::HangUpAnswer)
        )
    );
    assert_eq!(why.latency_milliseconds, Some(2_000));
    assert!(why.summary.contains("asked 2 times"), "{}", why.summary);
    assert!(
        why.summary.contains("2000 ms after the wish"),
        "{}",
        why.summary
    );
}

#[test]
fn of_a_live_call_it_is_told_what_is_known_so_far() {
    let talking = talking();
    let live = why(&talking, Evidence::default());
    assert_eq!(
        (live.state, live.ended_reason, live.rule),
        ("live", None, None)
    );
    assert!(
        live.summary.contains("nobody has asked"),
        "{}",
        live.summary
    );

    let wished = wished(&talking);
    let evidence = Evidence {
        attempts: vec![attempt(20_100, 20_200, "accepted", Some(200))],
        ..Evidence::default()
    };
    let going = why(&wished, evidence);
    assert_eq!((going.state, going.confirmed_by), ("ending", None));
    assert!(
        going.summary.contains("no evidence yet"),
        "{}",
        going.summary
    );
    assert!(going.markdown().starts_with("# What is known of call"));
}

#[test]
fn an_end_that_nobody_asked_for_names_nobody() {
    let call = reports(over(CallStatus::Completed, Some(5)), 15)
        .change(&talking(), at(15))
        .call;
    let why = why(&call, Evidence::default());
    assert_eq!((why.initiator, why.confirmed_by), (None, None));
    assert_eq!(why.rule, Some("The other party hung up."));
    assert!(
        why.summary.starts_with("The call ended by itself"),
        "{}",
        why.summary
    );
}

#[test]
fn as_markdown_it_is_a_table_that_a_providers_words_cannot_break() {
    let (call, evidence) = ended();
    let markdown = why(&call, evidence).markdown();
    let rows: Vec<&str> = markdown
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    assert_eq!(rows.len(), 8, "{markdown}");
    for row in rows {
        let bars = row.replace(r"\|", "").matches('|').count();
        assert_eq!(bars, 7, "{row}");
    }
    assert!(markdown.contains(r"HTTP 503, “Too \| many”"), "{markdown}");
}

#[test]
fn the_json_names_every_member_even_when_it_is_not_known() {
    let live = talking();
    let json = json!(why(&live, Evidence::default()));
    for member in [
        "ended_at",
        "initiator",
        "confirmed_by",
        "provider_cause",
        "rule",
    ] {
        assert_eq!(json.get(member), Some(&json!(null)), "{member}");
    }
}
