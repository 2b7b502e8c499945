//! Every row of the outcome tables, with bodies as Twilio writes them.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use time::Duration;

use super::map;
use crate::{
    domain::{
        CallId, OrganizationId, ProviderAccountId, Timestamp,
        call::{CallStatus, Direction, EndReason},
        phone::Phone,
        provider::{
            DialOutcome, FetchOutcome, HangUpOutcome, LookupOutcome, Observation, Parties,
            Progress, ProviderAnswer, ProviderKind, Source,
        },
    },
    outbound::{Answer, Failure},
    providers::{Account, Credentials, DialLookup},
};

const SID: &str = "CA0123456789abcdef0123456789abcdef";
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

fn told_to_wait(status: u16, body: &str) -> Answer {
    let mut answer = heard(status, body);
    let name = HeaderName::from_static("retry-after");
    answer.headers.insert(name, HeaderValue::from_static("7"));
    answer
}

fn error(status: u16, code: u32, message: &str) -> Value {
    json!({
        "code": code,
        "message": message,
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": status,
    })
}

fn call(status: &str) -> Value {
    json!({
        "sid": SID, "account_sid": "AC123", "status": status, "direction": "outbound-api",
        "from": "+15550100", "to": "+15550101", "start_time": null, "end_time": null,
        "duration": null, "price": null, "price_unit": "USD", "answered_by": null,
        "parent_call_sid": null, "queue_time": "0", "api_version": "2010-04-01",
        "date_created": "Tue, 31 Aug 2010 20:36:28 +0000",
        "uri": format!("/2010-04-01/Accounts/AC123/Calls/{SID}.json"), "subresource_uris": {},
    })
}

fn completed_call() -> Value {
    let mut call = call("completed");
    call["start_time"] = json!("Tue, 31 Aug 2010 20:36:29 +0000");
    call["end_time"] = json!("Tue, 31 Aug 2010 20:36:44 +0000");
    call["duration"] = json!("15");
    call
}

fn completed(source: Source) -> Observation {
    Observation {
        provider_call_id: SID.to_owned(),
        progress: Progress::Ended {
            status: CallStatus::Completed,
            connected_seconds: Some(15),
            reason: None,
            cause: json!({"status": "completed"}),
        },
        at: "2010-08-31T20:36:44Z".parse().ok(),
        source,
        host: None,
    }
}

fn seen(progress: Progress, source: Source) -> Observation {
    let created = progress == Progress::Placed;
    Observation {
        provider_call_id: SID.to_owned(),
        progress,
        at: "2010-08-31T20:36:28Z".parse().ok().filter(|_| created),
        source,
        host: None,
    }
}

fn another_call() -> Value {
    let mut call = completed_call();
    call["sid"] = json!("CAffffffffffffffffffffffffffffffff");
    call
}

fn failures() -> [(Failure, &'static str); 3] {
    [
        (Failure::Forbidden("10.0.0.1".to_owned()), "not sent"),
        (Failure::NotSent("refused".to_owned()), "not sent"),
        (Failure::Unknown("timed out after 4s".to_owned()), "unknown"),
    ]
}

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

/// A call of a list: its id's last digit, its direction, and the second of 20:36 it is of.
fn listed(digit: u8, direction: &str, second: u8) -> Value {
    let mut call = call("in-progress");
    call["sid"] = json!(format!("CA{digit}"));
    call["direction"] = json!(direction);
    call["date_created"] = json!(format!("Tue, 31 Aug 2010 20:36:{second:02} +0000"));
    call
}

fn page(calls: &[Value], more: bool) -> Answer {
    let next = more.then_some("/2010-04-01/Accounts/AC123/Calls.json?Page=1");
    heard(
        200,
        json!({"calls": calls, "next_page_uri": next, "page": 0}),
    )
}

/// The dial was sent between 20:36:20.5 and 20:36:30.5.
fn between_20_and_30<'a>(phone: &'a Phone, known: &'a [String]) -> DialLookup<'a> {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    DialLookup {
        call_id: CallId(uuid::Uuid::nil()),
        from: phone,
        to: phone,
        since: at("2010-08-31T20:36:20.500Z"),
        until: at("2010-08-31T20:36:30.500Z"),
        known,
    }
}

#[test]
fn a_search_that_is_not_answered_tells_nothing() {
    let phone = "+15550100".parse().unwrap();
    let lookup = between_20_and_30(&phone, &[]);
    for (failure, _) in failures() {
        let unclear = LookupOutcome::Unavailable { after: None };
        assert_eq!(map::lookup(&lookup, &Err(failure)), unclear);
    }
}

#[test]
fn outcomes_of_a_search_for_a_lost_dial() {
    let known = ["CA9".to_owned()];
    let phone = "+15550100".parse().unwrap();
    let lookup = between_20_and_30(&phone, &known);
    let api = "outbound-api";
    let found = |digit: u8| {
        LookupOutcome::Found(Observation {
            provider_call_id: format!("CA{digit}"),
            progress: Progress::Answered,
            at: None,
            source: Source::Fetch,
            host: None,
        })
    };
    let unclear = LookupOutcome::Unavailable { after: None };
    let mut undated = listed(1, api, 25);
    undated["date_created"] = Value::Null;
    let table = [
        (page(&[], false), LookupOutcome::Nothing),
        (page(&[listed(1, api, 25)], false), found(1)),
        // Two seconds on either side, and theirs are whole.
        (page(&[listed(1, api, 19)], false), found(1)),
        (page(&[listed(1, api, 32)], false), found(1)),
        (page(&[listed(1, api, 18)], false), LookupOutcome::Nothing),
        (page(&[listed(1, api, 33)], false), LookupOutcome::Nothing),
        (page(&[listed(9, api, 25)], false), LookupOutcome::Nothing),
        (
            page(&[listed(1, "inbound", 25)], false),
            LookupOutcome::Nothing,
        ),
        (
            page(&[listed(1, "outbound-dial", 25)], false),
            LookupOutcome::Nothing,
        ),
        (
            page(
                &[listed(9, api, 26), listed(1, api, 25), listed(2, api, 10)],
                false,
            ),
            found(1),
        ),
        (
            page(&[listed(1, api, 25), listed(2, api, 24)], false),
            LookupOutcome::Ambiguous(2),
        ),
        (
            page(&[listed(1, api, 25), listed(2, api, 24)], true),
            LookupOutcome::Ambiguous(2),
        ),
        // More pages, and this one does not reach back far enough to exclude another.
        (page(&[listed(1, api, 25)], true), unclear.clone()),
        (page(&[listed(9, api, 25)], true), unclear.clone()),
        (
            page(&[listed(1, api, 25), listed(2, api, 10)], true),
            found(1),
        ),
        (page(&[listed(2, api, 10)], true), LookupOutcome::Nothing),
        (page(&[undated], false), unclear.clone()),
        (heard(200, "<html>"), unclear.clone()),
        (heard(200, json!({"calls": null})), unclear.clone()),
        (
            heard(401, error(401, 20003, "Authenticate")),
            unclear.clone(),
        ),
        (heard(404, PROXY_PAGE), unclear.clone()),
        (heard(500, ""), unclear.clone()),
        (
            told_to_wait(429, ""),
            LookupOutcome::Unavailable {
                after: Some(Duration::seconds(7)),
            },
        ),
    ];
    for (answer, expected) in table {
        let heard = Ok(answer);
        assert_eq!(map::lookup(&lookup, &heard), expected, "{heard:?}");
    }
}

#[test]
fn a_receipt_holds_their_words_and_no_secret() {
    let credentials = br#"{"auth_token":"hunter2"}"#;
    let account = Account {
        id: ProviderAccountId(uuid::Uuid::nil()),
        organization_id: OrganizationId(uuid::Uuid::nil()),
        kind: ProviderKind::Twilio,
        external_id: "AC123".to_owned(),
        api_base_url: None,
        credentials: Credentials::parse(ProviderKind::Twilio, credentials).unwrap(),
    };
    let answer = |status, code: Option<&str>, message: Option<&str>| ProviderAnswer {
        status,
        code: code.map(str::to_owned),
        message: message.map(str::to_owned),
    };
    let table = [
        (
            Ok(heard(200, completed_call())),
            answer(Some(200), None, None),
        ),
        (
            Ok(heard(401, error(401, 20003, "Authenticate"))),
            answer(Some(401), Some("20003"), Some("Authenticate")),
        ),
        (
            Ok(heard(502, "<h1>Bad\r\nGateway</h1>")),
            answer(Some(502), None, Some("<h1>Bad Gateway</h1>")),
        ),
        // A proxy that repeats what it was sent: `AC123:hunter2` in base64, and in clear.
        (
            Ok(heard(
                400,
                "Basic QUMxMjM6aHVudGVyMg== for https://AC123:hunter2@api.example/",
            )),
            answer(Some(400), None, Some("Basic … for https://api.example/")),
        ),
        (Ok(heard(500, "")), answer(Some(500), None, None)),
        (
            Err(Failure::Unknown("timed out after 4s".to_owned())),
            answer(None, None, Some("no answer: timed out after 4s")),
        ),
    ];
    for (heard, expected) in table {
        assert_eq!(map::answer(&account, &heard), expected, "{heard:?}");
    }
}
