//! Every row of the outcome tables, with bodies as Vonage writes them.

mod answers;
mod lists;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};

use super::{
    fixture::{ID, SIGNATURE_SECRET, account},
    map,
};
use crate::{
    domain::{
        Timestamp,
        provider::{Observation, Progress, ProviderAnswer, Source},
    },
    outbound::{Answer, Failure},
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
