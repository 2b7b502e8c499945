//! What lists tell: of a dial whose answer was lost, and of what lives.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use time::Duration;

use super::{PROXY_PAGE, at, error, failures, heard, with_header};
use crate::{
    domain::{
        CallId, ProviderAccountId,
        phone::Phone,
        provider::{LiveCall, LiveOutcome, LookupOutcome, Observation, Progress, Source},
    },
    providers::{
        DialLookup,
        telnyx::{
            map::{self, Page},
            request::client_state,
        },
    },
};

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
