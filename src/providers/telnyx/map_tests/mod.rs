//! Every row of the outcome tables, with bodies as Telnyx writes them.

mod answers;
mod lists;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};

use super::{map, wire::Payload};
use crate::{
    domain::{
        OrganizationId, ProviderAccountId, Timestamp,
        call::{CallStatus, EndReason},
        provider::{Progress, ProviderAnswer, ProviderKind},
    },
    outbound::{Answer, Failure},
    providers::{Account, Credentials},
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
