//! Every row of the outcome tables, with bodies as Telnyx writes them.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use time::Duration;

use super::{
    map::{self, Page},
    request::client_state,
    wire::Payload,
};
use crate::{
    domain::{
        CallId, OrganizationId, ProviderAccountId, Timestamp,
        call::{CallStatus, EndReason},
        phone::Phone,
        provider::{
            DialOutcome, FetchOutcome, HangUpOutcome, LiveCall, LiveOutcome, LookupOutcome,
            Observation, Progress, ProviderAnswer, ProviderKind, Source,
        },
    },
    outbound::{Answer, Failure},
    providers::{Account, Credentials, DialLookup},
};

const ID: &str = "v3:MdI91X4lWFEs7IgbBEOT9M4AigoY08M0WWZFISt1Yw2axZ_IiE4pqg";
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

fn error(code: &str) -> Value {
    json!({"errors": [{"code": code, "title": "A title", "detail": "A detail."}]})
}

fn error_at(code: &str, pointer: &str) -> Value {
    json!({"errors": [{"code": code, "title": "A title", "source": {"pointer": pointer}}]})
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
        "record_type": "call", "call_control_id": ID, "call_leg_id": "l", "call_session_id": "s",
    });
    let Value::Object(more) = more else {
        panic!("{more}");
    };
    call.as_object_mut().unwrap().extend(more);
    json!({ "data": call })
}

#[test]
fn each_answer_to_a_hang_up_has_its_outcome() {
    let retry = || HangUpOutcome::Retry { after: None };
    let table = [
        (
            heard(200, json!({"data": {"result": "ok"}})),
            HangUpOutcome::Accepted,
        ),
        (heard(200, "not JSON"), HangUpOutcome::Accepted),
        (heard(202, ""), HangUpOutcome::Accepted),
        (heard(422, error("90018")), HangUpOutcome::AlreadyOver),
        (heard(422, error("90015")), HangUpOutcome::NotFound),
        (heard(404, error("10005")), HangUpOutcome::NotFound),
        (heard(404, error("10007")), HangUpOutcome::NotFound),
        (heard(404, PROXY_PAGE), HangUpOutcome::NotFound),
        (heard(429, error("10011")), retry()),
        (heard(500, error("10007")), retry()),
        (heard(503, error("10007")), retry()),
        (heard(502, PROXY_PAGE), retry()),
        (heard(408, ""), retry()),
        (heard(401, error("10009")), HangUpOutcome::Refused),
        (heard(403, error("10010")), HangUpOutcome::Refused),
        (heard(400, error("10015")), HangUpOutcome::Refused),
        (heard(422, error("90034")), HangUpOutcome::Refused),
        (heard(301, ""), HangUpOutcome::Refused),
        // The code counts only as what it is, where it belongs.
        (heard(422, PROXY_PAGE), HangUpOutcome::Refused),
        (
            heard(422, json!({"errors": [{"code": 90018}]})),
            HangUpOutcome::Refused,
        ),
        (heard(422, json!({"errors": []})), HangUpOutcome::Refused),
        (heard(400, error("90018")), HangUpOutcome::Refused),
        (heard(404, error("90018")), HangUpOutcome::NotFound),
        (heard(500, error("90018")), retry()),
    ];
    for (answer, expected) in table {
        let shown = format!("{} {:?}", answer.status, answer.body);
        assert_eq!(map::hang_up(&Ok(answer)), expected, "{shown}");
    }
    for failure in failures() {
        assert_eq!(map::hang_up(&Err(failure)), retry());
    }
}

#[test]
fn a_throttled_hang_up_waits_for_the_reset_or_as_long_as_is_said() {
    let wait = |answer| match map::hang_up(&Ok(answer)) {
        HangUpOutcome::Retry { after } => after.map(Duration::whole_seconds),
        other => panic!("{other:?}"),
    };
    let reset = |status| with_header(heard(status, ""), "x-ratelimit-reset", "3");
    assert_eq!(wait(reset(429)), Some(3));
    assert_eq!(wait(with_header(reset(429), "retry-after", "7")), Some(7));
    assert_eq!(
        wait(with_header(heard(503, ""), "retry-after", "7")),
        Some(7)
    );
    // A failure is to be asked again at once; the limit has nothing to do with it.
    assert_eq!(wait(reset(500)), None);
    let odd = with_header(heard(429, ""), "x-ratelimit-reset", "soon");
    assert_eq!(wait(odd), None);
}

#[test]
fn each_answer_to_a_dial_has_its_outcome() {
    let refused = |reason| DialOutcome::Refused { reason };
    let placed = |at| {
        DialOutcome::Placed(Observation {
            provider_call_id: ID.to_owned(),
            progress: Progress::Placed,
            at,
            source: Source::DialAnswer,
            host: None,
        })
    };
    let rejected = || refused(EndReason::ProviderRejected);
    let table = [
        (heard(200, call(json!({"is_alive": false}))), placed(None)),
        (
            // Not even an end time would make a dial's answer the end of its call.
            heard(
                200,
                call(json!({
                    "is_alive": false, "start_time": "2019-01-23T18:10:02.574Z",
                    "end_time": "2019-01-23T18:11:52.574Z",
                })),
            ),
            placed(Some(at("2019-01-23T18:10:02.574Z"))),
        ),
        (heard(200, "not JSON"), DialOutcome::Unknown),
        (heard(200, json!({"data": {}})), DialOutcome::Unknown),
        (
            heard(200, json!({"data": {"call_control_id": "a b"}})),
            DialOutcome::Unknown,
        ),
        (
            heard(429, error("90103")),
            DialOutcome::NotSent { after: None },
        ),
        (
            with_header(heard(429, error("10011")), "x-ratelimit-reset", "2"),
            DialOutcome::NotSent {
                after: Some(Duration::seconds(2)),
            },
        ),
        (
            heard(422, error_at("10016", "/to")),
            refused(EndReason::InvalidDestination),
        ),
        (heard(422, error_at("10016", "/from")), rejected()),
        (heard(422, error_at("10015", "/connection_id")), rejected()),
        (heard(401, error("10009")), rejected()),
        (heard(403, error("10010")), rejected()),
        (heard(404, PROXY_PAGE), rejected()),
        (heard(408, ""), DialOutcome::Unknown),
        (heard(500, error("10007")), DialOutcome::Unknown),
        (heard(503, error("10007")), DialOutcome::Unknown),
        (heard(302, ""), DialOutcome::Unknown),
    ];
    for (answer, expected) in table {
        let shown = format!("{} {:?}", answer.status, answer.body);
        assert_eq!(map::dial(&Ok(answer)), expected, "{shown}");
    }
    let outcomes = failures().map(|failure| map::dial(&Err(failure)));
    let not_sent = || DialOutcome::NotSent { after: None };
    assert_eq!(outcomes, [not_sent(), not_sent(), DialOutcome::Unknown]);
}

#[test]
fn a_call_that_is_read_is_over_only_with_an_end_time_and_not_alive() {
    let progress = |more: Value| match map::fetch(ID, &Ok(heard(200, call(more)))) {
        FetchOutcome::Found(observation) => {
            assert_eq!(observation.source, Source::Fetch);
            (observation.progress, observation.at)
        }
        other => panic!("{other:?}"),
    };
    let end = "2019-01-23T18:11:52.574Z";
    let ended = |status, seconds| Progress::Ended {
        status,
        connected_seconds: seconds,
        reason: None,
        cause: json!({}),
    };
    // Right after a dial.
    assert_eq!(
        progress(json!({"is_alive": false})),
        (Progress::Placed, None)
    );
    assert_eq!(
        progress(json!({"is_alive": false, "end_time": null})).0,
        Progress::Placed
    );
    assert_eq!(
        progress(json!({"is_alive": false, "end_time": "soon"})).0,
        Progress::Placed
    );
    assert_eq!(
        progress(json!({"is_alive": true, "end_time": end})).0,
        Progress::Placed
    );
    assert_eq!(progress(json!({"end_time": end})).0, Progress::Placed);
    // For how long it lasts already does not say that it was answered.
    assert_eq!(
        progress(json!({"is_alive": true, "call_duration": 9})).0,
        Progress::Placed
    );
    for (duration, expected) in [
        (json!(50), ended(CallStatus::Completed, Some(50))),
        (json!(0), ended(CallStatus::Canceled, Some(0))),
        (json!(null), ended(CallStatus::Canceled, None)),
        (json!(-1), ended(CallStatus::Canceled, None)),
    ] {
        let more = json!({"is_alive": false, "end_time": end, "call_duration": duration});
        assert_eq!(progress(more), (expected, Some(at(end))), "{duration}");
    }
}

#[test]
fn what_a_read_does_not_tell_is_not_taken_for_an_end() {
    let unavailable = || FetchOutcome::Unavailable { after: None };
    let mut other = call(json!({"is_alive": false, "end_time": "2019-01-23T18:11:52.574Z"}));
    other["data"]["call_control_id"] = json!("v3:other");
    let table = [
        (heard(200, other), unavailable()),
        (heard(200, PROXY_PAGE), unavailable()),
        (heard(404, error("10005")), FetchOutcome::NotFound),
        (heard(404, PROXY_PAGE), FetchOutcome::NotFound),
        (heard(422, error("90015")), FetchOutcome::NotFound),
        (heard(422, error("90018")), unavailable()),
        (heard(401, error("10009")), FetchOutcome::Refused),
        (heard(403, error("10010")), FetchOutcome::Refused),
        (heard(429, error("10011")), unavailable()),
        (heard(500, error("10007")), unavailable()),
    ];
    for (answer, expected) in table {
        let shown = format!("{} {:?}", answer.status, answer.body);
        assert_eq!(map::fetch(ID, &Ok(answer)), expected, "{shown}");
    }
    for failure in failures() {
        assert_eq!(map::fetch(ID, &Err(failure)), unavailable());
    }
}

const ACCOUNT: ProviderAccountId = ProviderAccountId(uuid::Uuid::from_u128(4));

#[test]
fn a_lost_dial_may_carry_a_reference_of_before_and_none_of_another_account() {
    let call_id = CallId(uuid::Uuid::from_u128(7));
    let phone: Phone = "+15550100".parse().unwrap();
    let lookup = DialLookup {
        call_id,
        from: &phone,
        to: &phone,
        since: at("2019-01-23T18:10:00Z"),
        until: at("2019-01-23T18:10:15Z"),
        known: &[],
    };
    let found = |state: String| {
        let body = json!({"data": [{"call_control_id": "v3:2", "client_state": state}]});
        let page = map::lookup(ACCOUNT, &lookup, &Ok(heard(200, body)));
        matches!(page, Page::Tells(LookupOutcome::Found(_)))
    };
    let other = ProviderAccountId(uuid::Uuid::from_u128(5));

    assert!(found(client_state(ACCOUNT, call_id)));
    assert!(found(BASE64_STANDARD.encode(call_id.to_string())));
    assert!(!found(client_state(other, call_id)));
}

#[test]
fn a_list_of_live_calls_is_whole_and_says_whose_each_one_is() {
    let (call_id, other) = (
        CallId(uuid::Uuid::from_u128(7)),
        ProviderAccountId(uuid::Uuid::from_u128(5)),
    );
    let live = |id: &str, call_id, account_named| LiveCall {
        provider_call_id: id.to_owned(),
        call_id,
        account_named,
        host: None,
        since: None,
    };
    let table = [
        (json!(client_state(ACCOUNT, call_id)), Some(call_id), true),
        (
            json!(BASE64_STANDARD.encode(call_id.to_string())),
            Some(call_id),
            false,
        ),
        (json!(client_state(other, call_id)), None, false),
        (json!(BASE64_STANDARD.encode("x/y/z")), None, false),
        (json!(call_id), None, false),
        (json!(""), None, false),
        (Value::Null, None, false),
    ];
    for (state, named, account_named) in table {
        let body = json!({"data": [{"call_control_id": "v3:1", "client_state": state}],
            "meta": {"cursors": {}}});
        assert_eq!(
            map::live(ACCOUNT, &Ok(heard(200, body))),
            LiveOutcome::Page {
                calls: vec![live("v3:1", named, account_named)],
                next: None,
                whole: true,
            },
            "{state}"
        );
    }
    let unclear = LiveOutcome::Unavailable { after: None };
    for (status, body, expected) in [
        (401, error("10009"), LiveOutcome::Refused),
        (403, error("10010"), LiveOutcome::Refused),
        (404, error("10005"), unclear.clone()),
        (500, error("10007"), unclear.clone()),
        (200, json!({"data": [], "meta": {"next": "/v2/…"}}), unclear),
    ] {
        let told = map::live(ACCOUNT, &Ok(heard(status, body)));
        assert_eq!(told, expected, "{status}");
    }
}

#[test]
fn a_lost_dial_is_the_active_call_that_carries_our_id_and_no_other() {
    let call_id = CallId(uuid::Uuid::from_u128(7));
    let phone: Phone = "+15550100".parse().unwrap();
    let lookup = DialLookup {
        call_id,
        from: &phone,
        to: &phone,
        since: at("2019-01-23T18:10:00Z"),
        until: at("2019-01-23T18:10:15Z"),
        known: &[],
    };
    let one = |id: &str, state: Value| json!({"call_control_id": id, "client_state": state});
    let ours = json!(client_state(ACCOUNT, call_id));
    let page = |calls: Value, meta: Value| {
        map::lookup(
            ACCOUNT,
            &lookup,
            &Ok(heard(200, json!({"data": calls, "meta": meta}))),
        )
    };
    let last = || json!({"cursors": {"after": null}, "next": null});
    let found = Page::Tells(LookupOutcome::Found(Observation {
        provider_call_id: "v3:2".to_owned(),
        progress: Progress::Placed,
        at: None,
        source: Source::Fetch,
        host: None,
    }));
    let theirs = || {
        one(
            "v3:1",
            json!(client_state(ACCOUNT, CallId(uuid::Uuid::from_u128(8)))),
        )
    };
    let unclear = || Page::Tells(LookupOutcome::Unavailable { after: None });
    assert_eq!(
        page(json!([theirs(), one("v3:2", ours.clone())]), last()),
        found
    );
    assert_eq!(
        page(
            json!([
                theirs(),
                one("v3:3", json!(null)),
                one("v3:4", json!(call_id))
            ]),
            last()
        ),
        Page::Tells(LookupOutcome::Nothing)
    );
    assert_eq!(
        page(
            json!([one("v3:2", ours.clone()), one("v3:3", ours.clone())]),
            last()
        ),
        Page::Tells(LookupOutcome::Ambiguous(2))
    );
    let more = || json!({"cursors": {"after": "c2"}, "next": "/v2/…"});
    assert_eq!(
        page(json!([theirs()]), more()),
        Page::GoesOn("c2".to_owned())
    );
    assert_eq!(page(json!([one("v3:2", ours)]), more()), found);
    assert_eq!(page(json!([]), json!({"next": "/v2/…"})), unclear());
    let asked = |answer| map::lookup(ACCOUNT, &lookup, &Ok(answer));
    assert_eq!(asked(heard(200, PROXY_PAGE)), unclear());
    assert_eq!(asked(heard(404, error("10005"))), unclear());
    assert_eq!(
        asked(with_header(heard(429, ""), "x-ratelimit-reset", "4")),
        Page::Tells(LookupOutcome::Unavailable {
            after: Some(Duration::seconds(4))
        })
    );
    for failure in failures() {
        assert_eq!(map::lookup(ACCOUNT, &lookup, &Err(failure)), unclear());
    }
}

#[test]
#[rustfmt::skip]
fn each_cause_of_a_hang_up_has_its_status_and_reason() {
    use CallStatus::{Busy, Canceled, Completed, Failed, NoAnswer};
    use EndReason::{Declined, InvalidDestination, MaxDuration};
    let table = [
        (Some("normal_clearing"),   Some("200"),         Completed, None),
        (Some("time_limit"),        None,                Completed, Some(MaxDuration)),
        (Some("originator_cancel"), Some("487"),         Canceled,  None),
        (Some("user_busy"),         Some("486"),         Busy,      None),
        (Some("no_answer"),         None,                NoAnswer,  None),
        (Some("timeout"),           None,                NoAnswer,  None),
        (Some("call_rejected"),     Some("603"),         Failed,    Some(Declined)),
        (Some("not_found"),         Some("404"),         Failed,    Some(InvalidDestination)),
        (Some("unspecified"),       Some("200"),         Completed, None),
        (Some("unspecified"),       Some("600"),         Busy,      None),
        (Some("unspecified"),       Some("480"),         NoAnswer,  None),
        (Some("unspecified"),       Some("408"),         NoAnswer,  None),
        (Some("unspecified"),       Some("487"),         Canceled,  None),
        (Some("unspecified"),       Some("603"),         Failed,    Some(Declined)),
        (None,                      Some("604"),         Failed,    Some(InvalidDestination)),
        (Some("unspecified"),       Some("unspecified"), Failed,    None),
        (Some("a_new_word"),        None,                Failed,    None),
        (None,                      None,                Failed,    None),
    ];
    for (cause, sip, expected, expected_reason) in table {
        let payload = Payload {
            hangup_cause: cause.map(str::to_owned),
            sip_hangup_cause: sip.map(str::to_owned),
            ..Payload::default()
        };
        let Progress::Ended {
            status,
            connected_seconds,
            reason,
            cause: words,
        } = map::ended(&payload)
        else {
            panic!("{cause:?} is no end");
        };
        assert_eq!(
            (status, reason),
            (expected, expected_reason),
            "{cause:?} {sip:?}"
        );
        assert_eq!(connected_seconds, None);
        assert_eq!(words.get("hangup_cause").and_then(Value::as_str), cause);
        assert_eq!(words.get("sip_hangup_cause").and_then(Value::as_str), sip);
    }
}

#[test]
fn a_receipt_has_their_code_and_words_and_no_key() {
    let credentials = json!({
        "api_key": "hunter2", "connection_id": "7",
        "public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    });
    let account = Account {
        id: ProviderAccountId(uuid::Uuid::nil()),
        organization_id: OrganizationId(uuid::Uuid::nil()),
        kind: ProviderKind::Telnyx,
        external_id: "7".to_owned(),
        api_base_url: None,
        credentials: Credentials::parse(ProviderKind::Telnyx, credentials.to_string().as_bytes())
            .unwrap(),
    };
    let said = |status: Option<u16>, code: Option<&str>, message: Option<&str>| ProviderAnswer {
        status,
        code: code.map(str::to_owned),
        message: message.map(str::to_owned),
    };
    let table = [
        (Ok(heard(200, error("90018"))), said(Some(200), None, None)),
        (
            Ok(heard(422, error("90018"))),
            said(Some(422), Some("90018"), Some("A detail.")),
        ),
        (
            Ok(heard(422, error_at("10016", "/to"))),
            said(Some(422), Some("10016"), Some("A title")),
        ),
        (
            Ok(heard(502, "Bad hunter2\n")),
            said(Some(502), None, Some("Bad …")),
        ),
        (
            Err(Failure::Unknown("reset".to_owned())),
            said(None, None, Some("no answer: reset")),
        ),
    ];
    for (heard, expected) in table {
        assert_eq!(map::answer(&account, &heard), expected);
    }
}
