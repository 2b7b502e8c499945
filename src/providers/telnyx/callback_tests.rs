//! What proves an event, and what it teaches. Signed here with a key pair of the tests' own: they
//! publish no vectors.

use axum::http::{HeaderMap, HeaderValue};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use super::callback::read;
use crate::{
    domain::{
        CallId, OrganizationId, ProviderAccountId, Timestamp,
        call::CallStatus,
        provider::{Observation, Progress, ProviderKind, Source},
    },
    providers::{Account, Callback, CallbackRefusal, CallbackRequest, Credentials, Told},
};

const NOW: i64 = 1_760_000_000;
const CALL: CallId = CallId(uuid::Uuid::from_u128(7));

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn account() -> Account {
    let credentials = json!({
        "api_key": "KEY1", "connection_id": "7267",
        "public_key": BASE64_STANDARD.encode(key().verifying_key().as_bytes()),
    });
    Account {
        id: ProviderAccountId(uuid::Uuid::nil()),
        organization_id: OrganizationId(uuid::Uuid::nil()),
        kind: ProviderKind::Telnyx,
        external_id: "7267".to_owned(),
        api_base_url: None,
        credentials: Credentials::parse(ProviderKind::Telnyx, credentials.to_string().as_bytes())
            .unwrap(),
    }
}

fn event(event_type: &str, more: Value) -> Value {
    let mut payload = json!({
        "call_control_id": "v3:abc", "connection_id": "7267",
        "client_state": BASE64_STANDARD.encode(format!("{}/{CALL}", uuid::Uuid::nil())),
        "from": "+15550100", "to": "+15550101",
    });
    let Value::Object(more) = more else {
        panic!("{more}");
    };
    payload.as_object_mut().unwrap().extend(more);
    json!({
        "data": {
            "record_type": "event", "event_type": event_type,
            "id": "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0",
            "occurred_at": "2018-02-02T22:25:27.521992Z", "payload": payload,
        },
        "meta": {"attempt": 1},
    })
}

struct Sent {
    method: &'static str,
    signature: Option<String>,
    timestamp: Option<String>,
    body: String,
}

/// As they send it, signed `age` seconds ago.
fn sent(body: &Value, age: i64) -> Sent {
    let body = body.to_string();
    let timestamp = (NOW - age).to_string();
    let signature = key().sign(format!("{timestamp}|{body}").as_bytes());
    Sent {
        method: "POST",
        signature: Some(BASE64_STANDARD.encode(signature.to_bytes())),
        timestamp: Some(timestamp),
        body,
    }
}

fn receive(sent: &Sent) -> Result<Callback, CallbackRefusal> {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("telnyx-signature-ed25519", &sent.signature),
        ("telnyx-timestamp", &sent.timestamp),
    ] {
        if let Some(value) = value {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
    }
    let request = CallbackRequest {
        method: sent.method,
        url: "https://onhook.example/callbacks/telnyx/a/calls/c",
        headers: &headers,
        body: sent.body.as_bytes(),
        call_id: Some(CALL),
        now: Timestamp::from_unix_millis(NOW * 1000),
    };
    read(&account(), &request)
}

fn good() -> Sent {
    sent(&event("call.answered", json!({})), 0)
}

fn observed(callback: Callback) -> Option<Observation> {
    match callback.told {
        Told::Progress(observation) => Some(observation),
        Told::Incoming(_) | Told::Finished { .. } | Told::Nothing => None,
    }
}

#[test]
fn an_event_is_taken_up_to_five_minutes_from_its_signing_either_way() {
    let table = [
        (0, true),
        (300, true),
        (-300, true),
        (301, false),
        (-301, false),
    ];
    for (age, taken) in table {
        let received = receive(&sent(&event("call.answered", json!({})), age));
        if taken {
            assert!(received.is_ok(), "{age}: {received:?}");
        } else {
            assert_eq!(received, Err(CallbackRefusal::Signature), "{age}");
        }
    }
}

#[test]
fn whatever_is_not_exactly_what_they_signed_is_refused() {
    let other = SigningKey::from_bytes(&[8; 32]);
    let forged = |sent: &Sent| {
        let text = format!("{}|{}", sent.timestamp.as_ref().unwrap(), sent.body);
        BASE64_STANDARD.encode(other.sign(text.as_bytes()).to_bytes())
    };
    let breaks: [fn(&mut Sent); 7] = [
        |sent| sent.signature = None,
        |sent| sent.timestamp = None,
        |sent| sent.signature = Some("!".to_owned()),
        |sent| sent.signature = Some(BASE64_STANDARD.encode([0; 64])),
        |sent| sent.body.push(' '),
        |sent| sent.timestamp = Some((NOW + 1).to_string()),
        |sent| sent.timestamp = Some("now".to_owned()),
    ];
    for (number, change) in breaks.iter().enumerate() {
        let mut sent = good();
        change(&mut sent);
        assert_eq!(receive(&sent), Err(CallbackRefusal::Signature), "{number}");
    }
    let mut by_another_key = good();
    by_another_key.signature = Some(forged(&by_another_key));
    assert_eq!(receive(&by_another_key), Err(CallbackRefusal::Signature));
    assert!(receive(&good()).is_ok());
}

#[test]
fn an_event_of_a_call_that_was_placed_before_references_named_the_account_is_read() {
    let old = BASE64_STANDARD.encode(CALL.to_string());
    let event = event("call.answered", json!({"client_state": old}));
    assert!(receive(&sent(&event, 0)).is_ok());
}

#[test]
fn an_event_about_another_connection_or_another_call_is_refused() {
    let refused = |more: Value| receive(&sent(&event("call.hangup", more), 0)).unwrap_err();
    assert_eq!(
        refused(json!({"connection_id": "1"})),
        CallbackRefusal::WrongAccount
    );
    let another = BASE64_STANDARD.encode(CallId(uuid::Uuid::from_u128(8)).to_string());
    let of_another_account = BASE64_STANDARD.encode(format!("{}/{CALL}", uuid::Uuid::from_u128(5)));
    for (more, what) in [
        (
            json!({"client_state": another}),
            "client_state does not name the call of the URL",
        ),
        (
            json!({"client_state": of_another_account}),
            "client_state does not name the call of the URL",
        ),
        (
            json!({"client_state": null}),
            "client_state does not name the call of the URL",
        ),
        (json!({"connection_id": null}), "connection_id is missing"),
        (
            json!({"call_control_id": null}),
            "call_control_id is missing or not one of theirs",
        ),
        (
            json!({"call_control_id": ".."}),
            "call_control_id is missing or not one of theirs",
        ),
    ] {
        assert_eq!(refused(more), CallbackRefusal::Malformed(what.to_owned()));
    }
}

#[test]
fn an_event_in_another_form_than_theirs_is_refused() {
    let mut by_get = good();
    by_get.method = "GET";
    let only_post = CallbackRefusal::Malformed("only POST was asked for".to_owned());
    assert_eq!(receive(&by_get), Err(only_post));
    for body in [
        json!([]),
        json!({}),
        json!({"data": {"event_type": "call.answered"}}),
    ] {
        let malformed = CallbackRefusal::Malformed("the body is not an event".to_owned());
        assert_eq!(receive(&sent(&body, 0)), Err(malformed), "{body}");
    }
    let mut unnamed = event("call.answered", json!({}));
    unnamed["data"]["id"] = json!("");
    let malformed = CallbackRefusal::Malformed("data.id is not one of theirs".to_owned());
    assert_eq!(receive(&sent(&unnamed, 0)), Err(malformed));
}

#[test]
fn each_event_of_a_calls_life_is_understood_and_the_others_teach_nothing() {
    let progress = |event_type: &str, more: Value| {
        let callback = receive(&sent(&event(event_type, more), 0)).unwrap();
        assert_eq!(callback.receipt_key, "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0");
        assert_eq!(callback.sequence, None);
        observed(callback).map(|observation| {
            assert_eq!(observation.provider_call_id, "v3:abc");
            assert_eq!(observation.source, Source::Callback);
            let at = observation.at.unwrap().to_string();
            assert!(at.starts_with("2018-02-02T22:25:27.52"), "{at}");
            observation.progress
        })
    };
    assert_eq!(
        progress("call.initiated", json!({})),
        Some(Progress::Placed)
    );
    assert_eq!(
        progress("call.answered", json!({})),
        Some(Progress::Answered)
    );
    let words = json!({
        "hangup_cause": "user_busy", "hangup_source": "callee", "sip_hangup_cause": "486",
    });
    assert_eq!(
        progress("call.hangup", words.clone()),
        Some(Progress::Ended {
            status: CallStatus::Busy,
            connected_seconds: None,
            reason: None,
            cause: words,
        })
    );
    for other in ["call.bridged", "call.cost", "streaming.started", "call.new"] {
        assert_eq!(progress(other, json!({})), None, "{other}");
        assert_eq!(
            progress(other, json!({"connection_id": null})),
            None,
            "{other}"
        );
    }
}

#[test]
fn what_is_kept_of_an_event_holds_no_zero_character() {
    let more = json!({"note\u{0}": ["a\u{0}b", {"c": "\u{0}"}], "hangup_cause": "x\u{0}"});
    let callback = receive(&sent(&event("call.hangup", more), 0)).unwrap();
    assert_eq!(
        callback.raw["data"]["payload"]["note"],
        json!(["ab", {"c": ""}])
    );
    let shown = format!("{callback:?}");
    assert!(
        !shown.contains("\\0") && !shown.contains('\u{0}'),
        "{shown}"
    );
}
