//! Every row of the outcome tables, with bodies as Vonage writes them.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use time::Duration;

use super::{
    fixture::{ID, OTHER_ID, SIGNATURE_SECRET, account},
    map::{self, Ending, Page},
};
use crate::{
    domain::{
        CallId, Timestamp,
        call::{CallStatus, EndReason},
        phone::Phone,
        provider::{
            DialOutcome, FetchOutcome, HangUpOutcome, LiveCall, LiveOutcome, LookupOutcome,
            Observation, Progress, ProviderAnswer, Source,
        },
    },
    outbound::{Answer, Failure},
    providers::DialLookup,
};

const PROXY_PAGE: &str = "<html><body><h1>404 Not Found</h1>\r\n<hr>nginx</body></html>";

fn heard(status: u16, body: impl Into<Value>) -> Answer {
    let body = match body.into() {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Answer {
        status,
        headers: HeaderMap::new(),
        body: Bytes::from(body),
    }
}

fn with_header(mut answer: Answer, name: &'static str, value: &'static str) -> Answer {
    let name = HeaderName::from_static(name);
    answer.headers.insert(name, HeaderValue::from_static(value));
    answer
}

fn error(kind: &str) -> Value {
    json!({
        "type": format!("https://developer.nexmo.com/api-errors#{kind}"),
        "title": "A title", "detail": "A detail.", "instance": "797a8f199c45014ab7b08bfe9cc1c12c",
    })
}

fn failures() -> [Failure; 3] {
    [
        Failure::Forbidden("10.0.0.1".to_owned()),
        Failure::NotSent("refused".to_owned()),
        Failure::Unknown("timed out".to_owned()),
    ]
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A call with these members beside its name.
fn call(more: Value) -> Value {
    let mut call = json!({
        "_links": {"self": {"href": format!("/calls/{ID}")}},
        "uuid": ID, "conversation_uuid": "CON-f972836a-550f-45fa-956c-12a2ab5b7d22",
        "to": {"type": "phone", "number": "15550101"},
        "from": {"type": "phone", "number": "15550120"}, "direction": "outbound",
    });
    let Value::Object(more) = more else {
        panic!("{more}");
    };
    call.as_object_mut().unwrap().extend(more);
    call
}

fn seen(progress: Progress, ended_at: Option<&str>, source: Source) -> Observation {
    Observation {
        provider_call_id: ID.to_owned(),
        progress,
        at: ended_at.map(at),
        source,
        host: None,
    }
}

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

fn look(known: &[String], index: usize, answer: Answer) -> Page {
    let from: Phone = "+15550120".parse().unwrap();
    let to: Phone = "+15550101".parse().unwrap();
    let lookup = DialLookup {
        call_id: CallId(uuid::Uuid::nil()),
        from: &from,
        to: &to,
        since: at("2026-01-01T00:00:10Z"),
        until: at("2026-01-01T00:00:25Z"),
        known,
    };
    map::lookup(&lookup, index, &Ok(answer))
}

fn list(count: usize, calls: &[Value]) -> Answer {
    heard(
        200,
        json!({"count": count, "page_size": 100, "_embedded": {"calls": calls}}),
    )
}

#[test]
fn a_lost_dial_is_the_outbound_call_between_the_numbers() {
    let ringing = json!({"status": "ringing"});
    let ours = seen(Progress::Ringing, None, Source::Fetch);
    let is_ours = |calls: &[Value]| look(&[], 0, list(calls.len(), calls));
    assert_eq!(
        is_ours(&[call(ringing.clone())]),
        Page::Read(vec![ours.clone()], None)
    );
    for not_ours in [
        json!({"direction": "inbound"}),
        json!({"to": {"type": "phone", "number": "15550102"}}),
        json!({"to": {"type": "websocket", "uri": "wss://agent.example"}}),
        json!({"from": {"type": "phone", "number": "15550121"}}),
        json!({"status": "completed", "start_time": "2026-01-01 00:00:07"}),
    ] {
        assert_eq!(
            is_ours(&[call(not_ours.clone())]),
            Page::Read(vec![], None),
            "{not_ours}"
        );
    }
    // Answered late, and over by now; or without the number that it comes from.
    for still_ours in [
        json!({"status": "completed", "start_time": "2026-01-01 00:01:30"}),
        json!({"status": "started", "from": {"type": "phone"}}),
        json!({"status": "new-word"}),
    ] {
        let Page::Read(found, None) = is_ours(&[call(still_ours.clone())]) else {
            panic!("{still_ours}");
        };
        assert_eq!(found.len(), 1, "{still_ours}");
    }
    let known = look(&[ID.to_owned()], 0, list(1, &[call(ringing.clone())]));
    assert_eq!(known, Page::Read(vec![], None));
    assert_eq!(
        look(&[], 0, list(3, &[call(ringing)])),
        Page::Read(vec![ours.clone()], Some(1))
    );

    let other = Observation {
        provider_call_id: OTHER_ID.to_owned(),
        ..ours.clone()
    };
    assert_eq!(map::found(vec![]), LookupOutcome::Nothing);
    assert_eq!(
        map::found(vec![ours.clone()]),
        LookupOutcome::Found(ours.clone())
    );
    assert_eq!(
        map::found(vec![ours.clone(), ours.clone()]),
        LookupOutcome::Found(ours.clone())
    );
    assert_eq!(
        map::found(vec![ours.clone(), other, ours]),
        LookupOutcome::Ambiguous(2)
    );
}

#[test]
fn nothing_is_said_of_a_list_that_is_not_understood() {
    let unclear = Page::Unclear(LookupOutcome::Unavailable { after: None });
    for answer in [
        heard(200, PROXY_PAGE),
        heard(200, json!({"_embedded": {"calls": []}})),
        heard(200, json!({"count": 0})),
        heard(401, error("unauthorized")),
        heard(404, error("not-found")),
        heard(500, ""),
        // It goes on, and shows nothing.
        list(3, &[]),
        list(1, &[json!({"status": "ringing"})]),
    ] {
        let shown = format!("{} {:?}", answer.status, answer.body);
        assert_eq!(look(&[], 0, answer), unclear, "{shown}");
    }
    let throttled = with_header(heard(429, ""), "retry-after", "3");
    let after = Some(Duration::seconds(3));
    assert_eq!(
        look(&[], 0, throttled),
        Page::Unclear(LookupOutcome::Unavailable { after })
    );
    let mut lookup_failed = failures().into_iter();
    assert!(lookup_failed.all(|failure| {
        map::live(None, &Err(failure)) == LiveOutcome::Unavailable { after: None }
    }));
}

#[test]
fn what_lives_is_read_status_by_status_to_the_last_page() {
    let living = LiveCall {
        provider_call_id: ID.to_owned(),
        call_id: None,
        host: None,
        since: None,
    };
    let page = |cursor, answer| map::live(cursor, &Ok(answer));
    let calls = [call(json!({"status": "started"})), json!({"uuid": "x"})];
    for (cursor, count, next) in [
        (None, 2, Some("1:0")),
        (None, 5, Some("0:2")),
        (Some("2:100"), 102, Some("3:0")),
        (Some("3:0"), 3, Some("3:2")),
        (Some("3:0"), 2, None),
    ] {
        let expected = LiveOutcome::Page {
            calls: vec![living.clone()],
            next: next.map(str::to_owned),
        };
        assert_eq!(page(cursor, list(count, &calls)), expected, "{cursor:?}");
    }
    let unclear = LiveOutcome::Unavailable { after: None };
    assert_eq!(page(None, heard(200, PROXY_PAGE)), unclear);
    assert_eq!(page(None, list(1, &[])), unclear);
    assert_eq!(page(Some("9:0"), list(0, &[])), unclear);
    assert_eq!(page(None, heard(503, "")), unclear);
    for status in [401, 403] {
        assert_eq!(page(None, heard(status, "")), LiveOutcome::Refused);
    }
}

#[test]
fn a_receipt_holds_their_words_and_no_secret() {
    let told = |answer| map::answer(&account(None), &Ok(answer));
    assert_eq!(
        told(heard(404, error("not-found"))),
        ProviderAnswer {
            status: Some(404),
            code: Some("not-found".to_owned()),
            message: Some("A detail.".to_owned()),
        }
    );
    let echo = format!("no such key: {SIGNATURE_SECRET}");
    let titled = told(heard(400, json!({"error_title": echo})));
    assert_eq!(titled.message.unwrap(), "no such key: …");
    assert_eq!(titled.code, None);
    let page = told(heard(502, PROXY_PAGE)).message.unwrap();
    assert!(page.contains("nginx") && !page.contains('\n'), "{page}");
    assert_eq!(told(heard(204, "")).message, None);
    let [_, not_sent, _] = failures();
    let lost = map::answer(&account(None), &Err(not_sent));
    assert_eq!(lost.message.unwrap(), "no connection: refused");
}
