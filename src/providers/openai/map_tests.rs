//! Every row of the outcome tables, with bodies as OpenAI writes them.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use time::Duration;

use super::{map, tests::account};
use crate::{
    domain::{
        call::{CallStatus, EndReason},
        provider::{HangUpOutcome, InstructOutcome, Progress, ProviderAnswer, Source},
    },
    outbound::{Answer, Failure, ws::NotOpened},
    providers::NoFeed,
};

const ID: &str = "rtc_479a275623b54bdb9b6fbae2f7cbd408";
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

fn error(code: &str) -> Value {
    json!({"error": {
        "message": "A message.", "type": "invalid_request_error", "param": null, "code": code,
    }})
}

fn failures() -> [Failure; 3] {
    [
        Failure::Forbidden("10.0.0.1".to_owned()),
        Failure::NotSent("refused".to_owned()),
        Failure::Unknown("timed out".to_owned()),
    ]
}

fn retry_after(mut answer: Answer, seconds: &'static str) -> Answer {
    let name = HeaderName::from_static("retry-after");
    answer
        .headers
        .insert(name, HeaderValue::from_static(seconds));
    answer
}

#[test]
fn a_hang_up_row_by_row() {
    let gone = || error("call_id_not_found");
    let retry = HangUpOutcome::Retry { after: None };
    let in_three = HangUpOutcome::Retry {
        after: Some(Duration::seconds(3)),
    };
    // What it means of a call whose session we saw, and of one that we did not.
    let same = |outcome: HangUpOutcome| [outcome.clone(), outcome];
    let evidence = || [HangUpOutcome::AlreadyOver, HangUpOutcome::NotFound];
    let table = [
        (heard(200, ""), same(HangUpOutcome::Accepted)),
        (heard(200, PROXY_PAGE), same(HangUpOutcome::Accepted)),
        (heard(204, ""), same(HangUpOutcome::Accepted)),
        (heard(400, gone()), evidence()),
        (heard(404, gone()), evidence()),
        (heard(409, error("call_not_active")), evidence()),
        (heard(409, gone()), evidence()),
        (heard(404, ""), same(HangUpOutcome::NotFound)),
        (heard(404, PROXY_PAGE), same(HangUpOutcome::NotFound)),
        (
            heard(404, error("unknown_url")),
            same(HangUpOutcome::NotFound),
        ),
        (heard(409, PROXY_PAGE), same(HangUpOutcome::Refused)),
        // The code where it does not belong.
        (heard(401, gone()), same(HangUpOutcome::Refused)),
        (heard(403, gone()), same(HangUpOutcome::Refused)),
        (heard(500, gone()), same(retry.clone())),
        (
            heard(400, error("invalid_request")),
            same(HangUpOutcome::Refused),
        ),
        (
            heard(401, error("invalid_api_key")),
            same(HangUpOutcome::Refused),
        ),
        (heard(302, ""), same(HangUpOutcome::Refused)),
        (heard(408, ""), same(retry.clone())),
        (
            retry_after(heard(429, error("rate_limit_exceeded")), "3"),
            same(in_three),
        ),
        (heard(500, error("server_error")), same(retry.clone())),
        (heard(502, PROXY_PAGE), same(retry.clone())),
    ];
    for (answer, [seen, unseen]) in table {
        let heard = Ok(answer);
        assert_eq!(map::hang_up(true, &heard), seen, "{heard:?}");
        assert_eq!(map::hang_up(false, &heard), unseen, "{heard:?}");
    }
    for failure in failures() {
        assert_eq!(map::hang_up(true, &Err(failure)), retry);
    }
}

#[test]
fn a_command_row_by_row() {
    let retry = InstructOutcome::Retry { after: None };
    let table = [
        (heard(200, ""), InstructOutcome::Done, InstructOutcome::Done),
        (
            heard(404, error("call_id_not_found")),
            InstructOutcome::Gone,
            InstructOutcome::Gone,
        ),
        // Accepted before: the first request's answer was lost.
        (
            heard(409, error("x")),
            InstructOutcome::Done,
            InstructOutcome::Gone,
        ),
        (
            heard(409, PROXY_PAGE),
            InstructOutcome::Refused,
            InstructOutcome::Refused,
        ),
        (heard(404, PROXY_PAGE), retry, retry),
        (heard(429, ""), retry, retry),
        (heard(503, ""), retry, retry),
        (
            heard(400, error("x")),
            InstructOutcome::Refused,
            InstructOutcome::Refused,
        ),
        (
            heard(401, error("x")),
            InstructOutcome::Refused,
            InstructOutcome::Refused,
        ),
    ];
    for (answer, accepted, other) in table {
        let heard = Ok(answer);
        assert_eq!(map::accept(&heard), accepted, "{heard:?}");
        assert_eq!(map::command(&heard), other, "{heard:?}");
    }
    for failure in failures() {
        assert_eq!(map::accept(&Err(failure)), retry);
    }
}

#[test]
fn only_their_own_word_says_that_there_is_no_such_call_to_listen_to() {
    let why = |answer| map::not_opened(&account(None), NotOpened::Answered(answer));
    for body in [json!(""), error("call_id_not_found")] {
        assert_eq!(why(heard(404, body)), NoFeed::NoSuchCall);
    }
    for (status, body) in [
        (404, json!(PROXY_PAGE)),
        (404, error("unknown_url")),
        (200, json!("")),
        (503, json!("")),
    ] {
        let no_feed = why(heard(status, body));
        assert!(matches!(no_feed, NoFeed::Unavailable(_)), "{no_feed:?}");
    }
    for status in [401, 403] {
        let refused = why(heard(status, error("invalid_api_key")));
        assert_eq!(refused, NoFeed::Refused(format!("{status} A message.")));
    }
}

#[test]
fn a_websocket_that_was_not_answered_tells_nothing() {
    for failure in failures() {
        let why = map::not_opened(&account(None), NotOpened::Failed(failure));
        assert!(matches!(why, NoFeed::Unavailable(_)), "{why:?}");
    }
}

#[test]
fn a_closing_is_evidence_unless_the_server_leaves_or_fails() {
    let closed = |code, error| map::closed(ID, code, "bye", error);
    for code in [
        None,
        Some(1000),
        Some(1005),
        Some(1008),
        Some(3000),
        Some(4000),
    ] {
        let observation = closed(code, None).unwrap();
        assert_eq!(observation.provider_call_id, ID);
        assert_eq!(observation.source, Source::Socket);
        assert_eq!(
            observation.progress,
            Progress::Ended {
                status: CallStatus::Completed,
                connected_seconds: None,
                reason: None,
                cause: json!({"close_code": code, "close_reason": "bye"}),
            }
        );
    }
    for code in [1001, 1011, 1012, 1013, 1014] {
        assert_eq!(closed(Some(code), None), None, "{code}");
        assert_eq!(closed(Some(code), Some("server_error")), None, "{code}");
    }
    let expired = closed(Some(1001), Some("session_expired")).unwrap();
    let Progress::Ended { reason, cause, .. } = expired.progress else {
        panic!("not over");
    };
    assert_eq!(reason, Some(EndReason::ProviderError));
    assert_eq!(cause["error"], "session_expired");
}

#[test]
fn a_session_is_an_answer() {
    assert_eq!(map::session_created(ID).progress, Progress::Answered);
}

#[test]
fn a_receipt_holds_their_words_and_no_secret() {
    let account = account(None);
    let body = json!({"error": {"message": "Wrong key sk-hunter2\n", "code": "invalid_api_key"}});
    let said = map::answer(&account, &Ok(heard(401, body)));
    let expected = ProviderAnswer {
        status: Some(401),
        code: Some("invalid_api_key".to_owned()),
        message: Some("Wrong key …".to_owned()),
    };
    assert_eq!(said, expected);
    let page = map::answer(&account, &Ok(heard(404, PROXY_PAGE)));
    assert_eq!((page.status, page.code), (Some(404), None));
    let none = map::answer(&account, &Err(Failure::Unknown("timed out".to_owned())));
    assert_eq!(none.status, None);
    assert_eq!(none.message.unwrap(), "no answer: timed out");
}
