//! A plain bridge: what it is asked by its templates, what its statuses mean, what it reports.

use axum::http::{HeaderMap, HeaderValue};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{map, report, request};
use crate::{
    domain::{
        CallId, Timestamp,
        call::{CallStatus, EndReason},
        provider::{DialOutcome, HangUpOutcome, Observation, Progress, Source},
    },
    providers::{
        Account, Callback, CallbackRefusal, CallbackRequest, Told,
        sip::{
            Keys, http,
            samples::{CALL, Wanted, account, heard, later, lost, not_sent},
        },
    },
};

const SECRET: &str = "s3cret";

fn bridge(more: &Value) -> Account {
    let mut credentials = json!({
        "bridge": "http",
        "hang_up": {
            "method": "POST", "url": "/calls/{call_id}/hangup?now=1", "accepted": [200, 202],
            "already_over": [409, 410], "unknown": [404],
        },
        "dial": {"method": "PUT", "url": "https://pbx.example/c/{call_id}", "accepted": [201]},
        "headers": {"Authorization": "Bearer hunter2", "X-Tenant": "7"},
        "webhook_secret": SECRET,
    });
    let members = more.as_object().unwrap().clone();
    credentials.as_object_mut().unwrap().extend(members);
    account("own", &credentials)
}

fn keys(account: &Account) -> &http::Keys {
    match Keys::of(account) {
        Some(Keys::Http(keys)) => keys,
        _ => panic!("not a plain bridge's"),
    }
}

#[test]
fn a_template_is_filled_with_one_segment_below_the_accounts_address() {
    let mut account = bridge(&json!({}));
    let built = request::hang_up(&account, keys(&account), "a/../b?c").unwrap();
    assert_eq!(built.method, Method::POST);
    assert_eq!(
        built.url.as_str(),
        "https://pbx.example/base/calls/a%2F..%2Fb%3Fc/hangup?now=1"
    );
    assert_eq!(built.headers["authorization"], "Bearer hunter2");
    assert!(built.headers["authorization"].is_sensitive());
    assert_eq!(built.headers["x-tenant"], "7");
    let body: Value = serde_json::from_slice(&built.body).unwrap();
    assert_eq!(body, json!({"call_id": "a/../b?c"}));
    for id in ["", "..", "a b"] {
        assert!(
            request::hang_up(&account, keys(&account), id).is_err(),
            "{id}"
        );
    }
    account.api_base_url = None;
    assert!(request::hang_up(&account, keys(&account), "a").is_err());
    account.api_base_url = Some("http://pbx.example".to_owned());
    assert!(request::hang_up(&account, keys(&account), "a").is_err());
}

#[test]
fn a_dial_names_the_call_and_where_to_report() {
    let account = bridge(&json!({}));
    let wanted = Wanted::say();
    let dial = keys(&account).dial.as_ref().unwrap();
    let built = request::dial(&account, keys(&account), dial, &wanted.dial()).unwrap();
    assert_eq!(built.method, Method::PUT);
    assert_eq!(built.url.as_str(), format!("https://pbx.example/c/{CALL}"));
    assert_eq!(
        serde_json::from_slice::<Value>(&built.body).unwrap(),
        json!({
            "call_id": CALL.to_string(),
            "from": "+15550130",
            "to": "+15550101",
            "answer": {"mode": "say", "text": "Hello"},
            "ring_timeout_seconds": 45,
            "max_duration_seconds": 1800,
            "report_to": "https://onhook.example/callbacks/sip/1/calls/7",
        })
    );
    let clear = json!({"dial": {
        "method": "PUT", "url": "http://pbx.example/c/{call_id}", "accepted": [201],
    }});
    let account = bridge(&clear);
    let dial = keys(&account).dial.as_ref().unwrap();
    let refused = request::dial(&account, keys(&account), dial, &wanted.dial());
    assert!(refused.unwrap_err().contains("https"));
}

#[test]
fn a_hang_up_means_what_its_owner_wrote_down() {
    let account = bridge(&json!({}));
    let hang_up = &keys(&account).hang_up;
    let retry = HangUpOutcome::Retry { after: None };
    for (answer, expected) in [
        (heard(200, Value::Null), HangUpOutcome::Accepted),
        (heard(202, "x"), HangUpOutcome::Accepted),
        (heard(409, Value::Null), HangUpOutcome::AlreadyOver),
        (heard(410, Value::Null), HangUpOutcome::AlreadyOver),
        (heard(404, Value::Null), HangUpOutcome::NotFound),
        // Nobody said what they mean.
        (heard(204, Value::Null), HangUpOutcome::Refused),
        (heard(301, Value::Null), HangUpOutcome::Refused),
        (heard(401, Value::Null), HangUpOutcome::Refused),
        (heard(403, Value::Null), HangUpOutcome::Refused),
        (heard(418, Value::Null), HangUpOutcome::Refused),
        (heard(408, Value::Null), retry.clone()),
        (
            later(429, "3"),
            HangUpOutcome::Retry {
                after: Some(time::Duration::seconds(3)),
            },
        ),
        (heard(503, Value::Null), retry.clone()),
        (not_sent(), retry.clone()),
        (lost(), retry),
    ] {
        assert_eq!(map::hang_up(hang_up, &answer), expected, "{answer:?}");
    }
}

#[test]
fn a_dial_that_was_not_accepted_is_refused_or_unknown() {
    let account = bridge(&json!({}));
    let dial = keys(&account).dial.as_ref().unwrap();
    let placed = Observation {
        provider_call_id: CALL.to_string(),
        progress: Progress::Placed,
        at: None,
        source: Source::DialAnswer,
        host: None,
    };
    let refused = DialOutcome::Refused {
        reason: EndReason::ProviderRejected,
    };
    for (answer, expected) in [
        (heard(201, Value::Null), DialOutcome::Placed(placed)),
        (heard(200, Value::Null), DialOutcome::Unknown),
        (heard(404, Value::Null), refused.clone()),
        (heard(401, Value::Null), refused),
        (heard(408, Value::Null), DialOutcome::Unknown),
        (
            heard(429, Value::Null),
            DialOutcome::NotSent { after: None },
        ),
        (heard(500, Value::Null), DialOutcome::Unknown),
        (not_sent(), DialOutcome::NotSent { after: None }),
        (lost(), DialOutcome::Unknown),
    ] {
        assert_eq!(map::dial(dial, CALL, &answer), expected, "{answer:?}");
    }
}

fn reported(
    account: &Account,
    body: &Value,
    key: &str,
    call_id: Option<CallId>,
) -> Result<Callback, CallbackRefusal> {
    let (body, signed_at) = (body.to_string(), 1_700_000_000_i64);
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(format!("{signed_at}.{body}").as_bytes());
    let code = mac.finalize().into_bytes();
    let hex = code
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&format!("t={signed_at},v1={hex}")).unwrap();
    headers.insert("onhook-bridge-signature", value);
    let request = CallbackRequest {
        method: "POST",
        url: "https://onhook.example/callbacks/sip/1/calls/7",
        headers: &headers,
        body: body.as_bytes(),
        call_id,
        now: Timestamp::from_unix_millis(signed_at * 1000),
    };
    report::read(keys(account), &request)
}

#[test]
fn a_signed_report_tells_of_the_call_that_it_names() {
    let account = bridge(&json!({}));
    let id = CALL.to_string();
    let at = "2026-11-21T13:25:46.679Z";
    for (more, expected) in [
        (json!({"event": "ringing"}), Some(Progress::Ringing)),
        (json!({"event": "answered"}), Some(Progress::Answered)),
        (
            json!({"event": "ended", "status": "no-answer", "cause": {"sip": 480}}),
            Some(Progress::Ended {
                status: CallStatus::NoAnswer,
                connected_seconds: None,
                reason: None,
                cause: json!({"sip": 480}),
            }),
        ),
        (json!({"event": "danced"}), None),
    ] {
        let mut body = json!({"id": "r1", "call_id": id, "at": at});
        let members = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(members);
        let callback = reported(&account, &body, SECRET, Some(CALL)).unwrap();
        let expected = expected.map_or(Told::Nothing, |progress| {
            Told::Progress(Observation {
                provider_call_id: id.clone(),
                progress,
                at: Some(at.parse().unwrap()),
                source: Source::Callback,
                host: None,
            })
        });
        assert_eq!(callback.told, expected, "{more}");
        assert_eq!(callback.receipt_key, "r1");
    }
}

#[test]
fn a_report_that_is_not_proven_or_about_another_call_is_refused() {
    let account = bridge(&json!({}));
    let good = json!({"id": "r1", "call_id": CALL.to_string(), "event": "answered"});
    assert!(reported(&account, &good, SECRET, Some(CALL)).is_ok());
    let forged = Err(CallbackRefusal::Signature);
    assert_eq!(reported(&account, &good, "other", Some(CALL)), forged);
    let silent = bridge(&json!({ "webhook_secret": null }));
    assert_eq!(reported(&silent, &good, SECRET, Some(CALL)), forged);
    for (name, value) in [
        ("call_id", "another"),
        ("call_id", ".."),
        ("id", ""),
        ("id", "a b"),
        ("event", "ended"),
    ] {
        let mut body = good.clone();
        body[name] = value.into();
        let refused = reported(&account, &body, SECRET, Some(CALL)).unwrap_err();
        assert!(
            matches!(refused, CallbackRefusal::Malformed(_)),
            "{name}: {refused}"
        );
    }
}
