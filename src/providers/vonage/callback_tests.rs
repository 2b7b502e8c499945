//! What proves a webhook, and what it teaches. Signed here by hand, for they publish no whole one.

use axum::http::{HeaderMap, HeaderValue};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    callback::read,
    fixture::{API_KEY, APPLICATION, ID, SIGNATURE_SECRET, account},
};
use crate::{
    domain::{
        CallId, Timestamp,
        call::CallStatus,
        provider::{Observation, Progress, Source},
    },
    providers::{Callback, CallbackRefusal, CallbackRequest, IncomingCall, Told},
};

const NOW: i64 = 1_760_000_000;
const CALL: CallId = CallId(uuid::Uuid::from_u128(7));

fn event(more: Value) -> Value {
    let mut event = json!({
        "from": "15550120", "to": "15550101", "uuid": ID,
        "conversation_uuid": "CON-aaaaaaaa-bbbb-cccc-dddd-0123456789ab",
        "status": "answered", "direction": "outbound",
        "timestamp": "2020-01-01T12:00:00.000Z",
    });
    let Value::Object(more) = more else {
        panic!("{more}");
    };
    event.as_object_mut().unwrap().extend(more);
    event
}

/// The answer webhook.
fn question(more: Value) -> Value {
    let mut question = event(more);
    for name in ["status", "direction", "timestamp"] {
        question.as_object_mut().unwrap().remove(name);
    }
    question
}

struct Sent {
    method: &'static str,
    header: Value,
    claims: Value,
    secret: &'static str,
    scheme: &'static str,
    body: String,
    call_id: Option<CallId>,
}

/// As they send it, signed `age` seconds ago.
fn sent(body: &Value, age: i64) -> Sent {
    let body = body.to_string();
    let hash = Sha256::digest(&body)
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    Sent {
        method: "POST",
        header: json!({"typ": "JWT", "alg": "HS256"}),
        claims: json!({
            "iat": NOW - age, "jti": "c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5", "iss": "Vonage",
            "payload_hash": hash, "api_key": API_KEY, "application_id": APPLICATION,
        }),
        secret: SIGNATURE_SECRET,
        scheme: "Bearer",
        body,
        call_id: Some(CALL),
    }
}

fn receive(sent: &Sent) -> Result<Callback, CallbackRefusal> {
    let [header, claims] =
        [&sent.header, &sent.claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = format!("{header}.{claims}");
    let mut mac = Hmac::<Sha256>::new_from_slice(sent.secret.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    let tag = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    receive_as(sent, &format!("{} {message}.{tag}", sent.scheme))
}

fn receive_as(sent: &Sent, authorization: &str) -> Result<Callback, CallbackRefusal> {
    let mut headers = HeaderMap::new();
    if !authorization.is_empty() {
        let value = HeaderValue::from_str(authorization).unwrap();
        headers.insert("authorization", value);
    }
    let request = CallbackRequest {
        method: sent.method,
        url: "https://onhook.example/callbacks/vonage/a/calls/c",
        headers: &headers,
        body: sent.body.as_bytes(),
        call_id: sent.call_id,
        now: Timestamp::from_unix_millis(NOW * 1000),
    };
    read(&account(None), &request)
}

fn good() -> Sent {
    sent(&event(json!({})), 0)
}

#[test]
fn a_webhook_is_taken_up_to_five_minutes_from_its_signing_either_way() {
    let table = [
        (0, true),
        (300, true),
        (-300, true),
        (301, false),
        (-301, false),
    ];
    for (age, taken) in table {
        let received = receive(&sent(&event(json!({})), age));
        if taken {
            assert!(received.is_ok(), "{age}: {received:?}");
        } else {
            assert_eq!(received, Err(CallbackRefusal::Signature), "{age}");
        }
    }
}

#[test]
fn whatever_is_not_exactly_what_they_signed_is_refused() {
    let breaks: [fn(&mut Sent); 14] = [
        |sent| sent.secret = "another",
        |sent| sent.scheme = "Basic",
        |sent| sent.body.push(' '),
        |sent| sent.body = sent.body.replace("answered", "completed"),
        |sent| sent.header["alg"] = json!("none"),
        |sent| sent.header["alg"] = json!("HS512"),
        |sent| sent.header["alg"] = json!("RS256"),
        |sent| sent.header = json!([]),
        |sent| sent.claims["iss"] = json!("Onhook"),
        |sent| sent.claims["iat"] = Value::Null,
        |sent| sent.claims["exp"] = json!(NOW - 1),
        |sent| sent.claims["payload_hash"] = Value::Null,
        |sent| sent.claims["payload_hash"] = json!(""),
        |sent| sent.claims = json!("claims"),
    ];
    for (number, change) in breaks.iter().enumerate() {
        let mut sent = good();
        change(&mut sent);
        assert_eq!(receive(&sent), Err(CallbackRefusal::Signature), "{number}");
    }
    for authorization in ["", "Bearer", "Bearer x", "Bearer a.b.c", "Bearer e30.e30."] {
        assert_eq!(
            receive_as(&good(), authorization),
            Err(CallbackRefusal::Signature),
            "{authorization}"
        );
    }
    let mut upper = good();
    let hash = upper.claims["payload_hash"]
        .as_str()
        .unwrap()
        .to_uppercase();
    upper.claims["payload_hash"] = hash.into();
    upper.claims["exp"] = json!(NOW);
    upper.scheme = "bearer";
    assert!(receive(&upper).is_ok());
    assert!(receive(&good()).is_ok());
}

#[test]
fn a_webhook_of_another_application_or_customer_is_refused() {
    for (name, value) in [
        (
            "application_id",
            json!("11111111-bbbb-4ccc-8ddd-0123456789ab"),
        ),
        ("application_id", Value::Null),
        ("api_key", json!("z9y8x7w")),
        ("api_key", Value::Null),
    ] {
        let mut sent = good();
        sent.claims[name] = value;
        assert_eq!(receive(&sent), Err(CallbackRefusal::WrongAccount), "{name}");
    }
}

#[test]
fn a_webhook_in_another_form_than_theirs_is_refused() {
    let malformed = |what: &str| Err(CallbackRefusal::Malformed(what.to_owned()));
    let mut by_get = good();
    by_get.method = "GET";
    assert_eq!(receive(&by_get), malformed("only POST was asked for"));
    for body in [json!([]), json!("x"), Value::Null] {
        let refused = malformed("the body is not a JSON object");
        assert_eq!(receive(&sent(&body, 0)), refused, "{body}");
    }
    for id in [json!(null), json!(7), json!(".."), json!("v3:abc")] {
        let refused = malformed("uuid is missing or not one of theirs");
        let body = event(json!({"uuid": id}));
        assert_eq!(receive(&sent(&body, 0)), refused, "{id}");
    }
}

fn observed(more: Value) -> Option<Observation> {
    let callback = receive(&sent(&event(more), 0)).unwrap();
    assert!(!callback.asks);
    match callback.told {
        Told::Progress(observation) => {
            assert_eq!(observation.provider_call_id, ID);
            assert_eq!(observation.source, Source::Callback);
            assert_eq!(observation.host, None);
            Some(observation)
        }
        Told::Incoming(_) | Told::Finished { .. } | Told::Nothing => None,
    }
}

#[test]
fn each_event_of_a_calls_life_is_understood_and_the_others_teach_nothing() {
    let progress = |more: Value| observed(more).map(|observation| observation.progress);
    let at = |more| observed(more).unwrap().at.map(|at| at.to_string());
    let noon = Some("2020-01-01T12:00:00.000Z".to_owned());
    assert_eq!(
        progress(json!({"status": "started"})),
        Some(Progress::Placed)
    );
    assert_eq!(
        progress(json!({"status": "ringing"})),
        Some(Progress::Ringing)
    );
    assert_eq!(progress(json!({})), Some(Progress::Answered));
    assert_eq!(at(json!({})), noon);
    for word in ["human", "machine"] {
        let by_another_name = json!({"status": word, "uuid": null, "call_uuid": ID});
        assert_eq!(progress(by_another_name), Some(Progress::Answered));
    }
    let completed = json!({
        "status": "completed", "duration": "42", "rate": "0.01", "price": "0.01",
        "start_time": "2020-01-01T12:00:01.000Z", "end_time": "2020-01-01T12:00:43.000Z",
        "network": "US-FIXED", "disconnected_by": "user", "sip_code": 200,
    });
    assert_eq!(
        progress(completed.clone()),
        Some(Progress::Ended {
            status: CallStatus::Completed,
            connected_seconds: Some(42),
            reason: None,
            cause: json!({"status": "completed", "disconnected_by": "user", "sip_code": "200"}),
        })
    );
    let end = Some("2020-01-01T12:00:43.000Z".to_owned());
    assert_eq!(at(completed), end);
    assert_eq!(at(json!({"status": "busy"})), noon);
    assert_eq!(at(json!({"timestamp": "now"})), None);
    for other in [
        // Our websocket broke; the call goes on.
        json!({"status": "disconnected"}),
        json!({"status": "new-word", "uuid": null}),
        json!({"status": null, "type": "transfer", "conversation_uuid_from": "CON-1"}),
        json!({"status": null, "dtmf": {"digits": "1"}}),
        json!({"status": null, "reason": "NCCO is invalid", "uuid": null}),
        json!({"status": null, "uuid": null}),
        // Events of the websocket's own call.
        json!({"status": "completed", "to": "wss://agent.example/media"}),
        json!({"status": "answered", "from": "ws://127.0.0.1/media", "uuid": null}),
    ] {
        assert_eq!(observed(other.clone()), None, "{other}");
    }
}

#[test]
fn the_question_what_a_call_is_to_do_tells_where_it_lives() {
    let asked = |more: Value| {
        let callback = receive(&sent(&question(more), 0)).unwrap();
        assert!(callback.asks);
        assert_eq!(callback.receipt_key, format!("{ID}:answer"));
        callback.told
    };
    let placed = |host: Option<&str>| {
        Told::Progress(Observation {
            provider_call_id: ID.to_owned(),
            progress: Progress::Placed,
            at: None,
            source: Source::Callback,
            host: host.map(str::to_owned),
        })
    };
    assert_eq!(
        asked(json!({"region_url": "https://api-us-3.vonage.com"})),
        placed(Some("api-us-3.vonage.com"))
    );
    assert_eq!(asked(json!({})), placed(None));
    assert_eq!(
        asked(json!({"region_url": "https://evil.example"})),
        placed(None)
    );
}

#[test]
fn a_question_at_the_accounts_own_url_is_a_call_that_came_in() {
    let body = json!({
        "from": "15550199", "to": "15550120", "region_url": "https://api-eu-3.vonage.com",
    });
    let mut sent = sent(&question(body), 0);
    sent.call_id = None;
    let callback = receive(&sent).unwrap();
    assert!(callback.asks);
    assert_eq!(
        callback.told,
        Told::Incoming(IncomingCall {
            provider_call_id: ID.to_owned(),
            from: "15550199".to_owned(),
            to: "15550120".to_owned(),
            host: Some("api-eu-3.vonage.com".to_owned()),
            answered_by_reply: false,
        })
    );
    let mut event = self::sent(&event(json!({"direction": "inbound"})), 0);
    event.call_id = None;
    assert!(matches!(
        receive(&event).unwrap().told,
        Told::Progress(Observation {
            progress: Progress::Answered,
            ..
        })
    ));
}

#[test]
fn a_report_is_named_by_call_status_and_time_or_by_its_content() {
    let key = |more| receive(&sent(&event(more), 0)).unwrap().receipt_key;
    assert_eq!(
        key(json!({})),
        format!("{ID}:answered:2020-01-01T12:00:00.000Z")
    );
    assert_eq!(key(json!({})), key(json!({"price": "1"})));
    let by_content = |more: Value| {
        let key = key(more);
        assert_eq!(key.len(), "sha256:".len() + 64, "{key}");
        assert!(key.starts_with("sha256:"));
        key
    };
    let without = by_content(json!({"timestamp": null}));
    assert_ne!(without, by_content(json!({"timestamp": "x".repeat(65)})));
    assert_eq!(without, by_content(json!({"timestamp": null})));
    by_content(json!({"timestamp": "1 2"}));
}

#[test]
fn what_is_kept_of_a_webhook_holds_no_zero_character() {
    let more = json!({"note\u{0}": ["a\u{0}b", {"c": "\u{0}"}], "status": "failed",
        "detail": "x\u{0}"});
    let callback = receive(&sent(&event(more), 0)).unwrap();
    assert_eq!(callback.raw["note"], json!(["ab", {"c": ""}]));
    let shown = format!("{callback:?}");
    assert!(
        !shown.contains("\\0") && !shown.contains('\u{0}'),
        "{shown}"
    );
}
