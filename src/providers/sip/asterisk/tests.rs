//! What Asterisk is asked, member by member.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::request;
use crate::{
    outbound,
    providers::{
        Account,
        sip::{
            Keys,
            keys::AsteriskKeys,
            samples::{CALL, Wanted, account},
        },
    },
};

fn bridge() -> Account {
    let credentials = json!({
        "bridge": "asterisk", "app": "onhook", "username": "u", "password": "p",
        "endpoint": "PJSIP/{to}@trunk",
    });
    account("main", &credentials)
}

fn keys(account: &Account) -> &AsteriskKeys {
    match Keys::of(account) {
        Some(Keys::Asterisk(keys)) => keys,
        _ => panic!("not Asterisk's"),
    }
}

fn query(request: &outbound::Request) -> BTreeMap<String, String> {
    request.url.query_pairs().into_owned().collect()
}

#[test]
fn a_dial_names_the_channel_by_our_id_and_limits_it() {
    let account = bridge();
    let wanted = Wanted::say();
    let http = request::dial(&account, keys(&account), &wanted.dial()).unwrap();
    assert_eq!(http.method, Method::POST);
    assert_eq!(http.url.path(), "/base/ari/channels");
    let id = CALL.to_string();
    let expected = [
        ("endpoint", "PJSIP/+15550101@trunk"),
        ("app", "onhook"),
        ("appArgs", id.as_str()),
        ("channelId", id.as_str()),
        ("callerId", "+15550130"),
        ("timeout", "45"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(query(&http), BTreeMap::from(expected));
    let body: Value = serde_json::from_slice(&http.body).unwrap();
    let variables = json!({"ONHOOK_CALL_ID": id, "TIMEOUT(absolute)": "1845"});
    assert_eq!(body, json!({ "variables": variables }));
    assert_eq!(http.headers["authorization"], "Basic dTpw");
    assert!(http.headers["authorization"].is_sensitive());
}

#[test]
fn a_stream_is_refused_for_nobody_would_carry_it() {
    let account = bridge();
    let wanted = Wanted::stream("wss://media.example/x");
    let refused = request::dial(&account, keys(&account), &wanted.dial());
    assert!(refused.unwrap_err().contains("cannot stream"));
}

#[test]
fn each_command_is_about_one_channel() {
    let account = bridge();
    let keys = keys(&account);
    let id = "pbx-1795267548.1";
    let built = [
        (
            request::hang_up(&account, keys, id),
            "DELETE",
            "/base/ari/channels/pbx-1795267548.1?reason_code=16",
        ),
        (
            request::reject(&account, keys, id),
            "DELETE",
            "/base/ari/channels/pbx-1795267548.1?reason_code=21",
        ),
        (
            request::fetch(&account, keys, id),
            "GET",
            "/base/ari/channels/pbx-1795267548.1",
        ),
        (
            request::answer(&account, keys, id),
            "POST",
            "/base/ari/channels/pbx-1795267548.1/answer",
        ),
        (
            request::channels(&account, keys),
            "GET",
            "/base/ari/channels",
        ),
        (
            request::application(&account, keys),
            "GET",
            "/base/ari/applications/onhook",
        ),
        (
            request::subscribe(&account, keys, id),
            "POST",
            "/base/ari/applications/onhook/subscription?eventSource=channel%3Apbx-1795267548.1",
        ),
        (
            request::events(&account, keys),
            "GET",
            "/base/ari/events?app=onhook&subscribeAll=false",
        ),
    ];
    for (http, method, target) in built {
        let http = http.unwrap();
        assert_eq!(http.method.as_str(), method, "{target}");
        assert_eq!(http.url.as_str(), format!("https://pbx.example{target}"));
        assert_eq!(http.headers["authorization"], "Basic dTpw");
    }
}

#[test]
fn what_could_reach_another_resource_or_cross_a_network_in_clear_is_not_built() {
    let mut account = bridge();
    for id in ["", ".", "..", "a b", "a\u{e9}", &"x".repeat(151)] {
        assert!(
            request::hang_up(&account, keys(&account), id).is_err(),
            "{id}"
        );
    }
    let odd = request::fetch(&account, keys(&account), "../applications/x?y#z").unwrap();
    assert_eq!(
        odd.url.path(),
        "/base/ari/channels/..%2Fapplications%2Fx%3Fy%23z"
    );
    for base in [
        None,
        Some("http://pbx.example"),
        Some("https://u:p@pbx.example"),
        Some("pbx"),
    ] {
        account.api_base_url = base.map(str::to_owned);
        assert!(
            request::fetch(&account, keys(&account), "1.2").is_err(),
            "{base:?}"
        );
    }
}
