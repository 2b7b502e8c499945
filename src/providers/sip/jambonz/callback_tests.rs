//! Hooks: whose they are, and what they tell.

use axum::http::{HeaderMap, HeaderValue};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::callback::read;
use crate::{
    domain::{
        CallId, Timestamp,
        provider::{Observation, Progress, Source},
    },
    providers::{
        Account, Callback, CallbackRefusal, CallbackRequest, IncomingCall, Told,
        sip::{
            Keys,
            samples::{CALL, account},
        },
    },
};

const ACCOUNT: &str = "6a1b2c3d-0000-4000-8000-000000000001";
const SID: &str = "2531329f-fb09-4ef7-887e-84e648214436";
const SECRET: &str = "wh_secret_abc";
const SIGNED_AT: i64 = 1_700_000_000;

fn bridge() -> Account {
    let credentials = json!({
        "bridge": "jambonz", "api_key": "k", "account_sid": ACCOUNT, "webhook_secret": SECRET,
    });
    account(ACCOUNT, &credentials)
}

fn hook(status: &str, more: Value) -> Value {
    let mut hook = json!({
        "call_sid": SID, "account_sid": ACCOUNT, "call_id": "x@10.0.0.1",
        "direction": "outbound", "from": "+15550130", "to": "+15550101", "call_status": status,
        "sip_status": 200, "customer_data": {"onhook_call_id": CALL.to_string()},
    });
    let Value::Object(more) = more else {
        panic!("{more}");
    };
    hook.as_object_mut().unwrap().extend(more);
    hook
}

/// The header as jambonz makes it.
fn signature(secret: &str, signed_at: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{signed_at}.{body}").as_bytes());
    let code = mac.finalize().into_bytes();
    let hex = code
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    format!("t={signed_at},v1={hex}")
}

fn arrives(
    header: Option<&str>,
    body: &str,
    call_id: Option<CallId>,
    late_by: i64,
) -> Result<Callback, CallbackRefusal> {
    let mut headers = HeaderMap::new();
    if let Some(header) = header {
        headers.insert("jambonz-signature", HeaderValue::from_str(header).unwrap());
    }
    let request = CallbackRequest {
        method: "POST",
        url: "https://onhook.example/callbacks/sip/1/calls/7",
        headers: &headers,
        body: body.as_bytes(),
        call_id,
        now: Timestamp::from_unix_millis((SIGNED_AT + late_by) * 1000),
    };
    let account = bridge();
    let Some(Keys::Jambonz(keys)) = Keys::of(&account) else {
        panic!("not jambonz's");
    };
    read(&account, keys, &request)
}

fn signed(body: &Value, call_id: Option<CallId>) -> Result<Callback, CallbackRefusal> {
    let body = body.to_string();
    let header = signature(SECRET, SIGNED_AT, &body);
    arrives(Some(&header), &body, call_id, 0)
}

#[test]
fn the_signature_is_over_the_time_a_dot_and_the_body() {
    // Reckoned with another implementation: HMAC-SHA256 of "1700000000.{}" by the secret.
    assert_eq!(
        signature(SECRET, SIGNED_AT, "{}"),
        "t=1700000000,v1=99fa5116ec8993f4e6f8178ff8bf78bf2e6857028d7dfa77e010b1d81e8bec4c"
    );
}

#[test]
fn a_hook_that_is_not_proven_is_refused_unread() {
    let body = hook("completed", json!({})).to_string();
    let good = signature(SECRET, SIGNED_AT, &body);
    let now = |header: &str| arrives(Some(header), &body, Some(CALL), 0);
    let forged = Err(CallbackRefusal::Signature);
    assert!(now(&good).is_ok());
    assert_eq!(arrives(None, &body, Some(CALL), 0), forged);
    for header in [
        signature("wh_secret_other", SIGNED_AT, &body),
        signature(SECRET, SIGNED_AT, "{}"),
        good.replace("t=1700000000", "t=1700000001"),
        good.replace("v1=", "v0="),
        good.replace("t=", "s="),
        format!("{good}00"),
        good.chars().take(good.len() - 1).collect(),
        "t=1700000000,v1=".to_owned(),
        "t=1700000000,v1=zz".to_owned(),
    ] {
        assert_eq!(now(&header), forged, "{header}");
    }
    for (late_by, holds) in [(300, true), (301, false), (-300, true), (-301, false)] {
        let read = arrives(Some(&good), &body, Some(CALL), late_by);
        assert_eq!(read.is_ok(), holds, "{late_by}");
    }
}

#[test]
fn a_hook_is_about_the_account_and_the_call_of_its_url() {
    let of_another = hook("completed", json!({"account_sid": "x"}));
    assert_eq!(
        signed(&of_another, Some(CALL)),
        Err(CallbackRefusal::WrongAccount)
    );
    let untagged = hook("completed", json!({"customer_data": null}));
    for body in [
        &untagged,
        &hook(
            "completed",
            json!({"customer_data": {"onhook_call_id": "x"}}),
        ),
    ] {
        let refused = signed(body, Some(CALL)).unwrap_err();
        assert!(
            matches!(refused, CallbackRefusal::Malformed(_)),
            "{refused}"
        );
    }
    // At the account's URL the hook names the call itself.
    assert!(signed(&untagged, None).is_ok());
}

#[test]
fn each_status_is_told_and_the_answer_to_an_outgoing_call_asks() {
    for (status, expected, asks) in [
        ("trying", Some(Progress::Placed), false),
        ("ringing", Some(Progress::Ringing), false),
        ("early-media", Some(Progress::Ringing), false),
        ("in-progress", Some(Progress::Answered), true),
        ("dancing", None, false),
    ] {
        let body = hook(status, json!({}));
        let callback = signed(&body, Some(CALL)).unwrap();
        let expected = expected.map_or(Told::Nothing, |progress| {
            Told::Progress(Observation {
                provider_call_id: SID.to_owned(),
                progress,
                at: None,
                source: Source::Callback,
                host: None,
            })
        });
        assert_eq!(callback.told, expected, "{status}");
        assert_eq!(callback.asks, asks, "{status}");
        assert_eq!(callback.raw, body);
    }
}

#[test]
fn the_first_word_of_a_call_that_comes_in_is_its_arrival() {
    let incoming = json!({"direction": "inbound", "customer_data": null});
    let callback = signed(&hook("trying", incoming.clone()), None).unwrap();
    assert_eq!(
        callback.told,
        Told::Incoming(IncomingCall {
            provider_call_id: SID.to_owned(),
            from: "+15550130".to_owned(),
            to: "+15550101".to_owned(),
            host: None,
            answered_by_reply: false,
        })
    );
    let answered = signed(&hook("in-progress", incoming), None).unwrap();
    assert!(matches!(answered.told, Told::Progress(_)));
    assert!(!answered.asks);
}

#[test]
fn a_repetition_has_the_same_name_and_nothing_that_a_database_cannot_hold() {
    let body = hook("ringing", json!({"sip_reason": "a\u{0}b"}));
    let first = signed(&body, Some(CALL)).unwrap();
    let text = body.to_string();
    let again = signature(SECRET, SIGNED_AT + 5, &text);
    let again = arrives(Some(&again), &text, Some(CALL), 5).unwrap();
    assert_eq!(first.receipt_key, again.receipt_key);
    assert_eq!(first.raw["sip_reason"], "ab");
}
