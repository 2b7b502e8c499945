//! What proves a webhook, and what it teaches.

use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::callback::read;
use crate::{
    domain::{
        CallId, OrganizationId, ProviderAccountId, Timestamp, provider::ProviderKind,
        webhook::signature::SigningSecret,
    },
    providers::{
        Account, Callback, CallbackRefusal, CallbackRequest, Credentials, IncomingCall, Told,
    },
};

const NOW: i64 = 1_760_000_000;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "rtc_479a275623b54bdb9b6fbae2f7cbd408";

fn account(secret: &str) -> Account {
    let credentials = json!({"api_key": "sk-1", "webhook_secret": secret});
    Account {
        id: ProviderAccountId(uuid::Uuid::nil()),
        organization_id: OrganizationId(uuid::Uuid::nil()),
        kind: ProviderKind::Openai,
        external_id: "proj_1".to_owned(),
        api_base_url: None,
        credentials: Credentials::parse(ProviderKind::Openai, credentials.to_string().as_bytes())
            .unwrap(),
    }
}

struct Sent {
    method: &'static str,
    id: String,
    timestamp: String,
    signature: String,
    body: String,
    call_id: Option<CallId>,
}

/// As they send it, signed `age` seconds ago.
fn sent(body: &Value, age: i64) -> Sent {
    let body = body.to_string();
    let (id, signed_at) = ("wh_1", NOW - age);
    let secret = SigningSecret::parse(SECRET).unwrap();
    Sent {
        method: "POST",
        id: id.to_owned(),
        timestamp: signed_at.to_string(),
        signature: secret.sign(id, signed_at, body.as_bytes()),
        body,
        call_id: None,
    }
}

fn read_at(secret: &str, sent: &Sent, now: i64) -> Result<Callback, CallbackRefusal> {
    let mut headers = HeaderMap::new();
    for (name, text) in [
        ("webhook-id", &sent.id),
        ("webhook-timestamp", &sent.timestamp),
        ("webhook-signature", &sent.signature),
    ] {
        headers.insert(name, HeaderValue::from_str(text).unwrap());
    }
    let request = CallbackRequest {
        method: sent.method,
        url: "https://calls.example.com/callbacks/openai/1",
        headers: &headers,
        body: sent.body.as_bytes(),
        call_id: sent.call_id,
        now: Timestamp::from_unix_millis(now * 1000),
    };
    read(&account(secret), &request)
}

fn heard(sent: &Sent) -> Result<Callback, CallbackRefusal> {
    read_at(SECRET, sent, NOW)
}

fn incoming(headers: &[(&str, &str)]) -> Value {
    let headers: Vec<Value> = headers
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    json!({
        "id": "evt_1", "object": "event", "type": "realtime.call.incoming",
        "created_at": 1_719_168_000, "data": {"call_id": ID, "sip_headers": headers},
    })
}

fn told(headers: &[(&str, &str)]) -> IncomingCall {
    let callback = heard(&sent(&incoming(headers), 0)).unwrap();
    let Told::Incoming(call) = callback.told else {
        panic!("{callback:?}");
    };
    call
}

/// The vectors that OpenAI's Python library and the Standard Webhooks libraries are tested with.
#[test]
fn the_published_vectors_hold() {
    let vectors = [
        (
            "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=",
            "wh_685c059ae39c8190af8c71ed1022a24d",
            1_750_861_210,
            r#"{"id": "evt_685c059ae3a481909bdc86819b066fb6", "object": "event", "created_at": 1750861210, "type": "response.completed", "data": {"id": "resp_123"}}"#,
            "v1,gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBY=",
            true,
        ),
        (
            SECRET,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            false,
        ),
    ];
    for (secret, id, signed_at, body, signature, is_event) in vectors {
        let mut sent = Sent {
            method: "POST",
            id: id.to_owned(),
            timestamp: signed_at.to_string(),
            signature: signature.to_owned(),
            body: body.to_owned(),
            call_id: None,
        };
        match read_at(secret, &sent, signed_at) {
            Ok(callback) if is_event => {
                assert_eq!(callback.receipt_key, id);
                assert_eq!(callback.told, Told::Nothing);
            }
            // Signed by them, and no event.
            Err(CallbackRefusal::Malformed(_)) if !is_event => {}
            other => panic!("{id}: {other:?}"),
        }
        // While a secret is changed they sign with both.
        sent.signature = format!("v1,AAAA {signature}");
        assert_ne!(
            read_at(secret, &sent, signed_at),
            Err(CallbackRefusal::Signature)
        );
        sent.signature = signature.replacen("v1,", "v1a,", 1);
        assert_eq!(
            read_at(secret, &sent, signed_at),
            Err(CallbackRefusal::Signature)
        );
    }
}

#[test]
fn a_secret_without_their_prefix_is_taken_as_bytes() {
    let body = incoming(&[]);
    let secret = SigningSecret::new(b"not base64!".to_vec());
    let mut sent = sent(&body, 0);
    sent.signature = secret.sign("wh_1", NOW, sent.body.as_bytes());
    assert!(read_at("not-base64!", &sent, NOW).is_err());
    let secret = SigningSecret::new(b"not-base64!".to_vec());
    sent.signature = secret.sign("wh_1", NOW, sent.body.as_bytes());
    assert!(read_at("not-base64!", &sent, NOW).is_ok());
}

#[test]
fn what_was_changed_forged_or_is_of_another_time_is_refused() {
    type Change = fn(&mut Sent);
    let changes: [Change; 6] = [
        |sent| sent.body.push(' '),
        |sent| "wh_2".clone_into(&mut sent.id),
        |sent| sent.timestamp = (NOW - 1).to_string(),
        |sent| "soon".clone_into(&mut sent.timestamp),
        |sent| sent.signature.clear(),
        |sent| sent.signature = SigningSecret::new(vec![1]).sign("wh_1", NOW, sent.body.as_bytes()),
    ];
    let good = || sent(&incoming(&[]), 0);
    assert!(heard(&good()).is_ok());
    for change in changes {
        let mut sent = good();
        change(&mut sent);
        assert_eq!(
            heard(&sent),
            Err(CallbackRefusal::Signature),
            "{}",
            sent.body
        );
    }
    for age in [-300, 300] {
        assert!(heard(&sent(&incoming(&[]), age)).is_ok(), "{age}");
    }
    for age in [-301, 301] {
        let refused = heard(&sent(&incoming(&[]), age));
        assert_eq!(refused, Err(CallbackRefusal::Signature), "{age}");
    }
}

#[test]
fn an_incoming_call_names_its_parties() {
    let call = told(&[
        ("from", "\"Ann\" <sip:+14155550100@carrier.example>;tag=1"),
        ("To", "<sip:+14155550199@sip.api.openai.com;transport=tls>"),
    ]);
    assert_eq!(call.provider_call_id, ID);
    assert_eq!(
        call.from,
        "\"Ann\" <sip:+14155550100@carrier.example>;tag=1"
    );
    assert_eq!(
        call.to,
        "<sip:+14155550199@sip.api.openai.com;transport=tls>"
    );
    assert!(!call.answered_by_reply);
    // A trunk that calls the project tells the number that diverted.
    let call = told(&[
        ("To", "<sip:proj_1@sip.api.openai.com;transport=tls>"),
        (
            "Diversion",
            "<sip:+14155550188@carrier.example>;reason=unconditional",
        ),
    ]);
    assert!(call.to.contains("+14155550188"), "{}", call.to);
    assert_eq!(call.from, "");
    // Nobody has such a number, which turns it away.
    let call = told(&[("To", "<sip:proj_1@sip.api.openai.com>")]);
    assert!(call.to.contains("proj_1"));
    assert_eq!(told(&[]).to, "");
}

#[test]
fn other_events_tell_nothing_and_their_other_apis_word_for_the_same_call_is_one_of_them() {
    for kind in [
        "live.call.incoming",
        "response.completed",
        "realtime.call.new",
    ] {
        let body = json!({"id": "evt_2", "type": kind, "data": {"session_id": ID}});
        let callback = heard(&sent(&body, 0)).unwrap();
        assert_eq!(callback.told, Told::Nothing, "{kind}");
    }
}

#[test]
fn what_they_do_not_document_is_malformed() {
    let bodies = [
        json!([]),
        json!({"id": "evt_1"}),
        json!({"type": "realtime.call.incoming"}),
        json!({"type": "realtime.call.incoming", "data": {"call_id": "CA1"}}),
        json!({"type": "realtime.call.incoming", "data": {"call_id": 7}}),
    ];
    for body in bodies {
        let refused = heard(&sent(&body, 0));
        assert!(
            matches!(refused, Err(CallbackRefusal::Malformed(_))),
            "{body}"
        );
    }
    let mut by_get = sent(&incoming(&[]), 0);
    by_get.method = "GET";
    assert!(matches!(heard(&by_get), Err(CallbackRefusal::Malformed(_))));
    let mut about_a_call = sent(&incoming(&[]), 0);
    about_a_call.call_id = Some(CallId(uuid::Uuid::from_u128(7)));
    assert!(matches!(
        heard(&about_a_call),
        Err(CallbackRefusal::Malformed(_))
    ));
}
