//! What each answer to a hang-up, a dial and a read means.

use serde_json::{Value, json};
use time::Duration;

use super::{PROXY_PAGE, call, error, failures, heard, seen, with_header};
use crate::{
    domain::{
        call::{CallStatus, EndReason},
        provider::{DialOutcome, FetchOutcome, HangUpOutcome, Progress, Source},
    },
    providers::vonage::{
        fixture::{ID, OTHER_ID},
        map::{self, Ending},
    },
};

#[test]
fn each_answer_to_a_hang_up_has_its_outcome_and_none_is_evidence() {
    let retry = || HangUpOutcome::Retry { after: None };
    let table = [
        (heard(204, ""), HangUpOutcome::Accepted),
        (heard(200, "not JSON"), HangUpOutcome::Accepted),
        (
            heard(200, call(json!({"status": "completed"}))),
            HangUpOutcome::Accepted,
        ),
        (heard(404, error("not-found")), HangUpOutcome::NotFound),
        (heard(404, PROXY_PAGE), HangUpOutcome::NotFound),
        (heard(404, ""), HangUpOutcome::NotFound),
        (heard(429, error("throttled")), retry()),
        (heard(500, error("internal-error")), retry()),
        (heard(502, PROXY_PAGE), retry()),
        (heard(503, ""), retry()),
        (heard(408, ""), retry()),
        (heard(401, error("unauthorized")), HangUpOutcome::Refused),
        (heard(403, error("forbidden")), HangUpOutcome::Refused),
        (
            heard(400, json!({"Error": "Bad Request"})),
            HangUpOutcome::Refused,
        ),
        (heard(405, error("wrong-verb")), HangUpOutcome::Refused),
        (heard(415, ""), HangUpOutcome::Refused),
        (heard(422, error("not-found")), HangUpOutcome::Refused),
        (heard(301, ""), HangUpOutcome::Refused),
    ];
    for (answer, expected) in table {
        let shown = format!("{} {:?}", answer.status, answer.body);
        assert_eq!(map::hang_up(&Ok(answer)), expected, "{shown}");
    }
    for failure in failures() {
        assert_eq!(map::hang_up(&Err(failure)), retry());
    }
    let throttled = with_header(heard(429, ""), "retry-after", "7");
    let after = Some(Duration::seconds(7));
    assert_eq!(map::hang_up(&Ok(throttled)), HangUpOutcome::Retry { after });
}

#[test]
fn each_answer_to_a_dial_has_its_outcome() {
    let placed = |progress| DialOutcome::Placed(seen(progress, None, Source::DialAnswer));
    let refused = |reason| DialOutcome::Refused { reason };
    let wrong = |parameters: Value| json!({"type": "…", "error_title": "Bad Request", "invalid_parameters": parameters});
    let created = |status: &str| {
        json!({
            "uuid": ID, "status": status, "direction": "outbound",
            "conversation_uuid": "CON-f972836a-550f-45fa-956c-12a2ab5b7d22",
        })
    };
    let table = [
        (heard(201, created("started")), placed(Progress::Placed)),
        (heard(200, created("ringing")), placed(Progress::Ringing)),
        // It certainly exists, whatever the word means.
        (heard(201, created("new-word")), placed(Progress::Placed)),
        (heard(201, json!({"uuid": ID})), placed(Progress::Placed)),
        // Carried out or not: nobody can tell.
        (heard(201, ""), DialOutcome::Unknown),
        (heard(201, PROXY_PAGE), DialOutcome::Unknown),
        (
            heard(201, json!({"uuid": "../x", "status": "started"})),
            DialOutcome::Unknown,
        ),
        (heard(500, error("internal-error")), DialOutcome::Unknown),
        (heard(502, PROXY_PAGE), DialOutcome::Unknown),
        (heard(408, ""), DialOutcome::Unknown),
        (heard(302, ""), DialOutcome::Unknown),
        (
            heard(429, error("throttled")),
            DialOutcome::NotSent { after: None },
        ),
        (
            heard(401, error("unauthorized")),
            refused(EndReason::ProviderRejected),
        ),
        (
            heard(403, error("forbidden")),
            refused(EndReason::ProviderRejected),
        ),
        (heard(404, PROXY_PAGE), refused(EndReason::ProviderRejected)),
        (
            heard(400, json!({"Error": "Bad Request"})),
            refused(EndReason::ProviderRejected),
        ),
        (
            heard(400, wrong(json!({"to": "Invalid"}))),
            refused(EndReason::InvalidDestination),
        ),
        (
            heard(400, wrong(json!([{"name": "to[0].number", "reason": "x"}]))),
            refused(EndReason::InvalidDestination),
        ),
        (
            heard(400, wrong(json!({"from": "x", "token": "x"}))),
            refused(EndReason::ProviderRejected),
        ),
        (
            heard(422, wrong(json!({"to": "Invalid"}))),
            refused(EndReason::ProviderRejected),
        ),
    ];
    for (answer, expected) in table {
        let shown = format!("{} {:?}", answer.status, answer.body);
        assert_eq!(map::dial(&Ok(answer)), expected, "{shown}");
    }
    let [forbidden, not_sent, unknown] = failures();
    for failure in [forbidden, not_sent] {
        let nothing = DialOutcome::NotSent { after: None };
        assert_eq!(map::dial(&Err(failure)), nothing);
    }
    assert_eq!(map::dial(&Err(unknown)), DialOutcome::Unknown);
}

#[test]
fn each_answer_to_a_read_has_its_outcome_and_only_a_named_terminal_call_is_evidence() {
    let unclear = || FetchOutcome::Unavailable { after: None };
    let found = |progress, ended_at| FetchOutcome::Found(seen(progress, ended_at, Source::Fetch));
    let ended = |status, connected_seconds, word: &str| Progress::Ended {
        status,
        connected_seconds,
        reason: (word == "rejected").then_some(EndReason::ProviderRejected),
        cause: json!({"status": word}),
    };
    let is = |status: &str| call(json!({"status": status}));
    let over = json!({
        "status": "completed", "start_time": "2026-01-01 11:59:00",
        "end_time": "2026-01-01 12:00:00", "duration": "60", "rate": "0.39", "price": "0.39",
    });
    let table = [
        (heard(200, is("started")), found(Progress::Placed, None)),
        (heard(200, is("ringing")), found(Progress::Ringing, None)),
        (heard(200, is("answered")), found(Progress::Answered, None)),
        (heard(200, is("machine")), found(Progress::Answered, None)),
        (
            heard(200, call(over)),
            found(
                ended(CallStatus::Completed, Some(60), "completed"),
                Some("2026-01-01T12:00:00Z"),
            ),
        ),
        (
            heard(
                200,
                call(json!({"status": "completed", "duration": 7,
                "end_time": "2026-01-01T12:00:00.500Z"})),
            ),
            found(
                ended(CallStatus::Completed, Some(7), "completed"),
                Some("2026-01-01T12:00:00.500Z"),
            ),
        ),
        (
            heard(
                200,
                call(json!({"status": "completed", "duration": "-1", "end_time": "?"})),
            ),
            found(ended(CallStatus::Completed, None, "completed"), None),
        ),
        // A word of somebody else's, a new one, another call, no call.
        (heard(200, is("canceled")), unclear()),
        (heard(200, is("gone")), unclear()),
        (
            heard(200, call(json!({"status": "completed", "uuid": OTHER_ID}))),
            unclear(),
        ),
        (heard(200, json!({"status": "completed"})), unclear()),
        (heard(200, PROXY_PAGE), unclear()),
        (heard(404, error("not-found")), FetchOutcome::NotFound),
        (heard(404, PROXY_PAGE), FetchOutcome::NotFound),
        (heard(404, is("completed")), FetchOutcome::NotFound),
        (heard(401, error("unauthorized")), FetchOutcome::Refused),
        (heard(403, error("forbidden")), FetchOutcome::Refused),
        (heard(429, error("throttled")), unclear()),
        (heard(500, is("completed")), unclear()),
    ];
    for (answer, expected) in table {
        let shown = format!("{} {:?}", answer.status, answer.body);
        assert_eq!(map::fetch(ID, &Ok(answer)), expected, "{shown}");
    }
    for failure in failures() {
        assert_eq!(map::fetch(ID, &Err(failure)), unclear());
    }
}

#[test]
fn a_read_of_a_call_that_nobody_answered_shows_how_it_ended() {
    for (word, status) in [
        ("busy", CallStatus::Busy),
        ("cancelled", CallStatus::Canceled),
        ("failed", CallStatus::Failed),
        ("rejected", CallStatus::Failed),
        ("timeout", CallStatus::NoAnswer),
        ("unanswered", CallStatus::NoAnswer),
    ] {
        let answer = heard(200, call(json!({ "status": word })));
        let FetchOutcome::Found(seen) = map::fetch(ID, &Ok(answer)) else {
            panic!("{word} is an end");
        };
        assert_eq!(seen.at, None, "{word}");
        let Progress::Ended {
            status: shown,
            connected_seconds,
            ..
        } = seen.progress
        else {
            panic!("{word} is an end");
        };
        assert_eq!((shown, connected_seconds), (status, None), "{word}");
    }
}

#[test]
fn each_end_has_its_status_and_its_reason() {
    use CallStatus::{Busy, Canceled, Completed, Failed, NoAnswer};
    use EndReason::{AgentHangup, Declined, InvalidDestination, ProviderRejected};
    // Status, detail, who hung up, SIP status; a dash is what they do not say.
    let table = [
        ("completed - user -", Completed, None),
        ("completed - - -", Completed, None),
        ("completed - platform -", Completed, Some(AgentHangup)),
        ("busy - - 486", Busy, None),
        ("cancelled - - -", Canceled, None),
        ("timeout - - -", NoAnswer, None),
        ("unanswered timeout - -", NoAnswer, None),
        ("unanswered unavailable - 480", NoAnswer, None),
        ("failed - - -", Failed, None),
        ("failed internal_error - 500", Failed, None),
        ("failed cannot_route - -", Failed, Some(InvalidDestination)),
        (
            "failed number_out_of_service - -",
            Failed,
            Some(InvalidDestination),
        ),
        ("failed - - 404", Failed, Some(InvalidDestination)),
        ("rejected - - -", Failed, Some(ProviderRejected)),
        ("rejected declined - 603", Failed, Some(Declined)),
        ("rejected - - 603", Failed, Some(Declined)),
        ("rejected - - 486", Failed, Some(EndReason::Busy)),
        (
            "rejected invalid_number - -",
            Failed,
            Some(InvalidDestination),
        ),
        ("rejected restricted - 403", Failed, Some(ProviderRejected)),
    ];
    for (words, expected, better) in table {
        let [word, detail, by, sip] = words.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{words}");
        };
        let said = |text: &'static str| Some(text).filter(|text| *text != "-");
        let ending = Ending {
            duration: Some("9"),
            detail: said(detail),
            disconnected_by: said(by),
            sip_code: said(sip),
        };
        let Some(Progress::Ended {
            status,
            connected_seconds,
            reason,
            cause,
        }) = map::progress(word, &ending)
        else {
            panic!("{word} is an end");
        };
        assert_eq!(
            (status, reason),
            (expected, better),
            "{word} {detail} {sip}"
        );
        // Only a call that was answered lasted.
        let lasted = (word == "completed").then_some(9);
        assert_eq!(connected_seconds, lasted, "{word}");
        assert_eq!(cause["status"], word);
        assert_eq!(cause.get("detail").and_then(Value::as_str), said(detail));
        assert_eq!(cause.get("sip_code").and_then(Value::as_str), said(sip));
    }
    for other in [
        "disconnected",
        "transfer",
        "record",
        "input",
        "canceled",
        "",
    ] {
        assert_eq!(map::progress(other, &Ending::default()), None, "{other}");
    }
}
