//! The vectors that Twilio's own libraries are tested with, and what a callback teaches.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use url::form_urlencoded;

use super::callback::read;
use crate::{
    domain::{
        CallId, OrganizationId, ProviderAccountId, Timestamp,
        call::{CallStatus, EndReason},
        provider::{Observation, Progress, ProviderKind, Source},
    },
    providers::{Account, Callback, CallbackRefusal, CallbackRequest, Credentials, Told},
};

const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
const FORM: &str = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
const JSON_BODY: &str = r#"{"property": "value", "boolean": true}"#;
const JSON_URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";

fn account() -> Account {
    // The API key must play no part in the signature.
    let credentials = br#"{"auth_token":"12345","api_key_sid":"SK1","api_key_secret":"k3y"}"#;
    Account {
        id: ProviderAccountId(uuid::Uuid::nil()),
        organization_id: OrganizationId(uuid::Uuid::nil()),
        kind: ProviderKind::Twilio,
        external_id: "AC123".to_owned(),
        api_base_url: None,
        credentials: Credentials::parse(ProviderKind::Twilio, credentials).unwrap(),
    }
}

fn receive(
    url: &str,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Result<Callback, CallbackRefusal> {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect();
    let request = CallbackRequest {
        method: "POST",
        url,
        headers: &headers,
        body: body.as_bytes(),
        call_id: Some(CallId(uuid::Uuid::nil())),
        now: Timestamp::from_unix_millis(0),
    };
    read(&account(), &request)
}

/// Whether the signature was taken: the vectors lack an account, which is looked at afterwards.
fn holds(url: &str, body: &str, signature: &str) -> bool {
    match receive(url, &[("x-twilio-signature", signature)], body) {
        Err(CallbackRefusal::Signature) => false,
        Err(CallbackRefusal::Malformed(text)) => {
            assert_eq!(text, "AccountSid is missing");
            true
        }
        other => panic!("{other:?}"),
    }
}

fn observed(callback: Callback) -> Option<Observation> {
    match callback.told {
        Told::Progress(observation) => Some(observation),
        Told::Incoming(_) | Told::Finished { .. } | Told::Nothing => None,
    }
}

/// Signs as the documentation says, without any of the code under test.
fn sign(url: &str, sorted: &[(&str, &str)]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(b"12345").unwrap();
    mac.update(url.as_bytes());
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// A signed form, `members` sorted by name.
fn form(
    members: &[(&str, &str)],
    more: &[(&'static str, &str)],
) -> Result<Callback, CallbackRefusal> {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(members)
        .finish();
    let signature = sign(URL, members);
    let headers = [&[("x-twilio-signature", signature.as_str())], more].concat();
    receive(URL, &headers, &body)
}

#[test]
fn the_published_signatures_hold() {
    let duplicates = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234";
    let table = [
        (URL, FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (
            "https://mycompany.com:443/myapp.php?foo=1&bar=2",
            FORM,
            "kvajT1Ptam85bY51eRf/AJRuM3w=",
        ),
        (
            "http://mycompany.com:80/myapp.php?foo=1&bar=2",
            FORM,
            "0ZXoZLH/DfblKGATFgpif+LLRf4=",
        ),
        (
            "http://mycompany.com:1234/myapp.php?foo=1&bar=2",
            FORM,
            "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
        ),
        (URL, duplicates, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
        (JSON_URL, JSON_BODY, "a9nBmqA0ju/hNViExpshrM61xv4="),
        // The port may have been left out or put in on the way.
        (URL, FORM, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (
            "https://mycompany.com:443/myapp.php?foo=1&bar=2",
            FORM,
            "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
        ),
        (
            "http://mycompany.com/myapp.php?foo=1&bar=2",
            FORM,
            "0ZXoZLH/DfblKGATFgpif+LLRf4=",
        ),
        // A fragment is for their retries only.
        (
            "https://mycompany.com/myapp.php?foo=1&bar=2#rc=2&rp=all",
            FORM,
            "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
        ),
    ];
    for (url, body, signature) in table {
        assert!(holds(url, body, signature), "{url} {body}");
    }
}

#[test]
fn whatever_differs_from_what_was_signed_is_refused() {
    let good = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
    let more = format!("{FORM}&AccountSid=AC123");
    let less = FORM.replace("&Digits=1234", "");
    let json_url_of_form = format!("{URL}&bodySHA256=00");
    let table = [
        (URL, more.as_str(), good),
        (URL, less.as_str(), good),
        (URL, &FORM.replace("1234&", "1235&"), good),
        ("https://mycompany.com/myapp.php?foo=1&bar=3", FORM, good),
        ("http://mycompany.com/myapp.php?foo=1&bar=2", FORM, good),
        ("https://evil.example/myapp.php?foo=1&bar=2", FORM, good),
        (URL, FORM, ""),
        (URL, FORM, "not base64!"),
        (URL, FORM, "RSOYDt4T1cUTdK1PDd93"),
        (URL, FORM, "AAAADt4T1cUTdK1PDd93/VVr8B8="),
        (&json_url_of_form, FORM, good),
        // The URL's signature holds, the body is another one.
        (
            JSON_URL,
            r#"{"property": "other"}"#,
            "a9nBmqA0ju/hNViExpshrM61xv4=",
        ),
        // A JSON body that nothing vouches for.
        (URL, JSON_BODY, "a9nBmqA0ju/hNViExpshrM61xv4="),
    ];
    for (url, body, signature) in table {
        assert!(!holds(url, body, signature), "{url} {body} {signature}");
    }
    assert_eq!(receive(URL, &[], FORM), Err(CallbackRefusal::Signature));
}

#[test]
fn a_completed_call_is_read_with_its_times() {
    let members = [
        ("AccountSid", "AC123"),
        ("CallDuration", "49"),
        ("CallSid", "CA42"),
        ("CallStatus", "completed"),
        ("Duration", "1"),
        ("FromCity", "Zu\u{0}rich"),
        ("SequenceNumber", "3"),
        ("Timestamp", "Sun, 25 Mar 2018 09:53:19 +0000"),
    ];
    let callback = form(&members, &[("i-twilio-idempotency-token", "abc")]).unwrap();
    assert_eq!(callback.receipt_key, "CA42:3");
    assert_eq!(callback.sequence, Some(3));
    assert_eq!(callback.raw["CallDuration"], "49");
    assert_eq!(callback.raw["FromCity"], "Zurich");
    let observation = observed(callback).unwrap();
    assert_eq!(observation.provider_call_id, "CA42");
    assert_eq!(observation.source, Source::Callback);
    assert_eq!(observation.at, "2018-03-25T09:53:19Z".parse().ok());
    assert_eq!(
        observation.progress,
        Progress::Ended {
            status: CallStatus::Completed,
            connected_seconds: Some(49),
            reason: None,
            cause: json!({"CallStatus": "completed"}),
        }
    );
}

#[test]
fn each_status_word_teaches_its_progress_and_an_unknown_one_nothing() {
    let progress = |status: &str| {
        let members = [
            ("AccountSid", "AC123"),
            ("CallSid", "CA42"),
            ("CallStatus", status),
        ];
        let callback = form(&members, &[]).unwrap();
        observed(callback).map(|observation| observation.progress)
    };
    assert_eq!(progress("queued"), Some(Progress::Placed));
    assert_eq!(progress("initiated"), Some(Progress::Placed));
    assert_eq!(progress("ringing"), Some(Progress::Ringing));
    assert_eq!(progress("in-progress"), Some(Progress::Answered));
    for (word, expected) in [
        ("completed", CallStatus::Completed),
        ("busy", CallStatus::Busy),
        ("failed", CallStatus::Failed),
        ("no-answer", CallStatus::NoAnswer),
        ("canceled", CallStatus::Canceled),
    ] {
        let Some(Progress::Ended { status, .. }) = progress(word) else {
            panic!("{word}")
        };
        assert_eq!(status, expected);
    }
    for word in ["parked", "Completed", ""] {
        assert_eq!(progress(word), None, "{word}");
    }
}

#[test]
fn the_sip_answer_gives_a_better_reason_where_the_status_gives_none() {
    let table = [
        ("failed", "486", Some(EndReason::Busy)),
        ("failed", "600", Some(EndReason::Busy)),
        ("failed", "603", Some(EndReason::Declined)),
        ("failed", "404", Some(EndReason::InvalidDestination)),
        ("failed", "484", Some(EndReason::InvalidDestination)),
        ("failed", "604", Some(EndReason::InvalidDestination)),
        ("failed", "503", None),
        ("busy", "486", None),
        ("busy", "603", Some(EndReason::Declined)),
        ("completed", "603", None),
    ];
    for (status, code, expected) in table {
        let members = [
            ("AccountSid", "AC123"),
            ("CallSid", "CA42"),
            ("CallStatus", status),
            ("ErrorCode", "13224"),
            ("SipResponseCode", code),
        ];
        let observation = observed(form(&members, &[]).unwrap()).unwrap();
        let Progress::Ended { reason, cause, .. } = observation.progress else {
            panic!("{status}")
        };
        assert_eq!(reason, expected, "{status} {code}");
        let words = json!({"CallStatus": status, "ErrorCode": "13224", "SipResponseCode": code});
        assert_eq!(cause, words);
    }
}

#[test]
fn a_report_without_a_number_is_known_by_their_token_or_by_its_content() {
    let members = [("AccountSid", "AC123"), ("CallSid", "CA42")];
    let key = |headers: &[(&'static str, &str)]| form(&members, headers).unwrap().receipt_key;
    assert_eq!(
        key(&[("i-twilio-idempotency-token", "0a-9f")]),
        "CA42:token:0a-9f"
    );
    let by_content = key(&[]);
    assert_eq!(by_content.len(), "CA42:sha256:".len() + 64);
    assert_eq!(
        by_content,
        key(&[("i-twilio-idempotency-token", "with space")])
    );
}

#[test]
fn a_signed_callback_about_no_call_or_another_account_is_refused() {
    let malformed = |text: &str| Err(CallbackRefusal::Malformed(text.to_owned()));
    assert_eq!(
        form(&[("AccountSid", "AC999"), ("CallSid", "CA42")], &[]),
        Err(CallbackRefusal::WrongAccount)
    );
    assert_eq!(
        form(&[("CallSid", "CA42")], &[]),
        malformed("AccountSid is missing")
    );
    assert_eq!(
        form(&[("AccountSid", "AC123")], &[]),
        malformed("CallSid is missing")
    );
    assert_eq!(
        form(&[("AccountSid", "AC123"), ("CallSid", "../CA42")], &[]),
        malformed("CallSid is not one of theirs")
    );
    assert_eq!(
        form(
            &[
                ("AccountSid", "AC123"),
                ("CallSid", "CA1"),
                ("CallSid", "CA2")
            ],
            &[]
        ),
        malformed("CallSid is missing")
    );
}

#[test]
fn several_values_of_one_name_are_all_kept() {
    let members = [
        ("AccountSid", "AC123"),
        ("CallSid", "CA42"),
        ("Digits", "1234"),
        ("Digits", "5678"),
    ];
    let raw = form(&members, &[]).unwrap().raw;
    assert_eq!(raw["Digits"], json!(["1234", "5678"]));
    assert_eq!(raw["CallSid"], Value::from("CA42"));
}
