//! What each answer to a hang-up, a dial and a read means.

use serde_json::json;
use time::Duration;

use super::{
    PROXY_PAGE, SID, another_call, call, completed, completed_call, error, failures, heard, seen,
    told_to_wait,
};
use crate::{
    domain::{
        call::{CallStatus, Direction, EndReason},
        provider::{
            DialOutcome, FetchOutcome, HangUpOutcome, Observation, Parties, Progress, Source,
        },
    },
    providers::twilio::map,
};

#[test]
fn outcomes_of_a_hang_up() {
    let later = Some(Duration::seconds(7));
    let retry = HangUpOutcome::Retry { after: None };
    let told = HangUpOutcome::Retry { after: later };
    let over = "Call is not in-progress. Cannot redirect.";
    let table = [
        (
            heard(200, completed_call()),
            HangUpOutcome::Ended(completed(Source::HangUpAnswer)),
        ),
        (heard(200, call("queued")), HangUpOutcome::Accepted),
        (heard(200, call("ringing")), HangUpOutcome::Accepted),
        (heard(200, call("in-progress")), HangUpOutcome::Accepted),
        (heard(200, call("parked")), HangUpOutcome::Accepted),
        (heard(200, another_call()), HangUpOutcome::Accepted),
        (heard(200, "<html>"), HangUpOutcome::Accepted),
        (heard(204, ""), HangUpOutcome::Accepted),
        (
            heard(400, error(400, 21220, over)),
            HangUpOutcome::AlreadyOver,
        ),
        (
            heard(404, error(404, 20404, "was not found")),
            HangUpOutcome::NotFound,
        ),
        (heard(404, PROXY_PAGE), HangUpOutcome::NotFound),
        // Their code for "over" is evidence only where it belongs.
        (heard(404, error(404, 21220, over)), HangUpOutcome::NotFound),
        (
            heard(401, error(401, 20003, "Authenticate")),
            HangUpOutcome::Refused,
        ),
        (
            heard(403, error(403, 20003, "Forbidden")),
            HangUpOutcome::Refused,
        ),
        (heard(403, PROXY_PAGE), HangUpOutcome::Refused),
        (
            heard(400, error(400, 20001, "Invalid parameter")),
            HangUpOutcome::Refused,
        ),
        (heard(400, "21220 not in-progress"), HangUpOutcome::Refused),
        (heard(405, ""), HangUpOutcome::Refused),
        (heard(415, ""), HangUpOutcome::Refused),
        (heard(422, ""), HangUpOutcome::Refused),
        (heard(302, ""), HangUpOutcome::Refused),
        (
            heard(429, error(429, 20429, "Too Many Requests")),
            retry.clone(),
        ),
        (told_to_wait(429, ""), told.clone()),
        (heard(408, ""), retry.clone()),
        (heard(500, error(500, 20500, "Internal")), retry.clone()),
        (told_to_wait(503, PROXY_PAGE), told),
    ];
    for (answer, expected) in table {
        let heard = Ok(answer);
        assert_eq!(map::hang_up(SID, &heard), expected, "{heard:?}");
    }
    for (failure, _) in failures() {
        assert_eq!(map::hang_up(SID, &Err(failure)), retry);
    }
}

#[test]
fn every_terminal_status_in_the_answer_ends_the_call() {
    for (word, status) in [
        ("busy", CallStatus::Busy),
        ("failed", CallStatus::Failed),
        ("no-answer", CallStatus::NoAnswer),
        ("canceled", CallStatus::Canceled),
    ] {
        let outcome = map::hang_up(SID, &Ok(heard(200, call(word))));
        let expected = Observation {
            provider_call_id: SID.to_owned(),
            progress: Progress::Ended {
                status,
                connected_seconds: None,
                reason: None,
                cause: json!({"status": word}),
            },
            at: None,
            source: Source::HangUpAnswer,
            host: None,
        };
        assert_eq!(outcome, HangUpOutcome::Ended(expected));
    }
}

#[test]
fn outcomes_of_a_dial() {
    let rejected = DialOutcome::Refused {
        reason: EndReason::ProviderRejected,
    };
    let invalid = DialOutcome::Refused {
        reason: EndReason::InvalidDestination,
    };
    let placed = |progress| DialOutcome::Placed(seen(progress, Source::DialAnswer));
    let table = [
        (heard(201, call("queued")), placed(Progress::Placed)),
        (heard(201, call("initiated")), placed(Progress::Placed)),
        (heard(201, call("ringing")), placed(Progress::Ringing)),
        // It has a name, so it exists, whatever the word for its state.
        (heard(201, call("parked")), placed(Progress::Placed)),
        (
            heard(201, json!({"sid": null, "status": "queued"})),
            DialOutcome::Unknown,
        ),
        (heard(201, "<html>"), DialOutcome::Unknown),
        (heard(200, ""), DialOutcome::Unknown),
        (heard(303, ""), DialOutcome::Unknown),
        (
            heard(429, error(429, 20429, "Too Many Requests")),
            DialOutcome::NotSent { after: None },
        ),
        (
            told_to_wait(429, ""),
            DialOutcome::NotSent {
                after: Some(Duration::seconds(7)),
            },
        ),
        (
            heard(401, error(401, 20003, "Authenticate")),
            rejected.clone(),
        ),
        (heard(403, PROXY_PAGE), rejected.clone()),
        (
            heard(400, error(400, 21211, "Invalid 'To' Phone Number")),
            invalid.clone(),
        ),
        (
            heard(400, error(400, 21214, "cannot be reached")),
            invalid.clone(),
        ),
        (
            heard(400, error(400, 21217, "does not appear to be valid")),
            invalid,
        ),
        (
            heard(400, error(400, 21212, "Invalid From")),
            rejected.clone(),
        ),
        (heard(400, "<html>"), rejected.clone()),
        (heard(404, PROXY_PAGE), rejected.clone()),
        (heard(422, ""), rejected),
        (heard(408, ""), DialOutcome::Unknown),
        (
            heard(500, error(500, 20500, "Internal")),
            DialOutcome::Unknown,
        ),
        (heard(502, PROXY_PAGE), DialOutcome::Unknown),
        (told_to_wait(503, ""), DialOutcome::Unknown),
    ];
    for (answer, expected) in table {
        let heard = Ok(answer);
        assert_eq!(map::dial(&heard), expected, "{heard:?}");
    }
    for (failure, kind) in failures() {
        let expected = match kind {
            "not sent" => DialOutcome::NotSent { after: None },
            _ => DialOutcome::Unknown,
        };
        assert_eq!(map::dial(&Err(failure)), expected);
    }
}

#[test]
fn outcomes_of_a_read() {
    let found = |progress| FetchOutcome::Found(seen(progress, Source::Fetch));
    let nothing_learnt = FetchOutcome::Unavailable { after: None };
    let later = FetchOutcome::Unavailable {
        after: Some(Duration::seconds(7)),
    };
    let table = [
        (heard(200, call("queued")), found(Progress::Placed)),
        (heard(200, call("initiated")), found(Progress::Placed)),
        (heard(200, call("ringing")), found(Progress::Ringing)),
        (heard(200, call("in-progress")), found(Progress::Answered)),
        (
            heard(200, completed_call()),
            FetchOutcome::Found(completed(Source::Fetch)),
        ),
        (heard(200, call("parked")), nothing_learnt.clone()),
        (heard(200, another_call()), nothing_learnt.clone()),
        (
            heard(200, json!({"sid": SID, "status": null})),
            nothing_learnt.clone(),
        ),
        (heard(200, "<html>"), nothing_learnt.clone()),
        (
            heard(404, error(404, 20404, "was not found")),
            FetchOutcome::NotFound,
        ),
        (heard(404, PROXY_PAGE), FetchOutcome::NotFound),
        (
            heard(401, error(401, 20003, "Authenticate")),
            FetchOutcome::Refused,
        ),
        (heard(403, ""), FetchOutcome::Refused),
        (told_to_wait(429, ""), later),
        (heard(302, ""), nothing_learnt.clone()),
        (heard(400, ""), nothing_learnt.clone()),
        (heard(500, PROXY_PAGE), nothing_learnt.clone()),
    ];
    for (answer, expected) in table {
        let heard = Ok(answer);
        assert_eq!(map::fetch(SID, &heard), expected, "{heard:?}");
    }
    for (failure, _) in failures() {
        assert_eq!(map::fetch(SID, &Err(failure)), nothing_learnt);
    }
}

#[test]
fn a_description_tells_who_calls_whom_and_an_end_tells_its_price() {
    let described = |direction: &str| {
        let mut call = call("ringing");
        call["direction"] = json!(direction);
        match map::describe(SID, &Ok(heard(200, call))) {
            FetchOutcome::Found(described) => described,
            other => panic!("{other:?}"),
        }
    };
    for (direction, expected) in [
        ("outbound-api", Some(Direction::Outbound)),
        ("outbound-dial", Some(Direction::Outbound)),
        ("inbound", Some(Direction::Inbound)),
        ("sideways", None),
    ] {
        let described = described(direction);
        assert_eq!(
            described.observation,
            seen(Progress::Ringing, Source::Fetch)
        );
        assert!(described.tells_progress);
        let parties = expected.map(|direction| Parties {
            direction,
            from: "+15550100".to_owned(),
            to: "+15550101".to_owned(),
        });
        assert_eq!(described.parties, parties, "{direction}");
    }
    let nobodys = Ok(heard(404, error(404, 20404, "was not found")));
    assert_eq!(map::describe(SID, &nobodys), FetchOutcome::NotFound);

    let mut priced = completed_call();
    priced["price"] = json!("-0.03000");
    priced["price_unit"] = json!("USD");
    let FetchOutcome::Found(observation) = map::fetch(SID, &Ok(heard(200, priced))) else {
        panic!("it is theirs");
    };
    let Progress::Ended { cause, .. } = observation.progress else {
        panic!("it is over");
    };
    let expected = json!({"status": "completed", "price": "-0.03000", "price_unit": "USD"});
    assert_eq!(cause, expected);
}
