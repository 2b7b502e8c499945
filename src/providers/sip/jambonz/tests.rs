//! What jambonz is asked, and what it is answered, member by member.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    request::{self, Ending},
    verbs,
};
use crate::{
    domain::agent::Answer,
    providers::{
        Account,
        sip::{
            Keys,
            keys::JambonzKeys,
            samples::{CALL, Wanted, account},
        },
    },
};

const ACCOUNT: &str = "6a1b2c3d-0000-4000-8000-000000000001";
const SID: &str = "2531329f-fb09-4ef7-887e-84e648214436";

fn bridge(more: &Value) -> Account {
    let mut credentials = json!({
        "bridge": "jambonz", "api_key": "KEY", "account_sid": ACCOUNT, "webhook_secret": "s",
    });
    let members = more.as_object().unwrap().clone();
    credentials.as_object_mut().unwrap().extend(members);
    account(ACCOUNT, &credentials)
}

fn keys(account: &Account) -> &JambonzKeys {
    match Keys::of(account) {
        Some(Keys::Jambonz(keys)) => keys,
        _ => panic!("not jambonz's"),
    }
}

#[test]
fn a_dial_carries_our_reference_and_both_hooks() {
    let application = "6a1b2c3d-0000-4000-8000-000000000002";
    let account = bridge(&json!({ "application_sid": application }));
    let wanted = Wanted::say();
    let http = request::dial(&account, keys(&account), &wanted.dial()).unwrap();
    assert_eq!(http.method, Method::POST);
    assert_eq!(
        http.url.path(),
        format!("/base/v1/Accounts/{ACCOUNT}/Calls")
    );
    assert_eq!(http.headers["authorization"], "Bearer KEY");
    assert!(http.headers["authorization"].is_sensitive());
    let hook = json!({"url": "https://onhook.example/callbacks/sip/1/calls/7"});
    assert_eq!(
        serde_json::from_slice::<Value>(&http.body).unwrap(),
        json!({
            "from": "+15550130",
            "to": {"type": "phone", "number": "+15550101"},
            "call_hook": hook,
            "call_status_hook": hook,
            "timeout": 45,
            "timeLimit": 1800,
            "tag": {"onhook_call_id": CALL.to_string()},
            "application_sid": application,
        })
    );
}

#[test]
fn a_call_is_ended_by_a_word_for_its_state() {
    let account = bridge(&json!({}));
    for (ending, word) in [
        (Ending::Completed, "completed"),
        (Ending::NoAnswer, "no-answer"),
    ] {
        let http = request::hang_up(&account, keys(&account), SID, ending).unwrap();
        assert_eq!(http.method, Method::PUT);
        assert_eq!(
            http.url.path(),
            format!("/base/v1/Accounts/{ACCOUNT}/Calls/{SID}")
        );
        let body: Value = serde_json::from_slice(&http.body).unwrap();
        assert_eq!(body, json!({ "call_status": word }));
    }
}

#[test]
fn what_could_reach_another_resource_is_not_built() {
    let mut account = bridge(&json!({}));
    for id in ["", "..", "a/b", "a?b", "a b"] {
        assert!(
            request::fetch(&account, keys(&account), id).is_err(),
            "{id}"
        );
    }
    account.external_id = "another".to_owned();
    let refused = request::fetch(&account, keys(&account), SID).unwrap_err();
    assert!(refused.contains("external id"), "{refused}");
}

#[test]
fn an_agent_speaks_or_listens_in_their_verbs() {
    let say = Answer::Say {
        text: "Hello".to_owned(),
    };
    let verbs = verbs::carrying_out(&say).unwrap();
    assert_eq!(
        verbs,
        json!([{"verb": "say", "text": "Hello"}, {"verb": "hangup"}])
    );
    let stream = |url: &str| {
        verbs::carrying_out(&Answer::Stream {
            url: url.to_owned(),
        })
    };
    let verbs = stream("wss://media.example/x").unwrap();
    assert_eq!(verbs[0]["verb"], "answer");
    assert_eq!(verbs[1]["verb"], "listen");
    assert_eq!(verbs[1]["url"], "wss://media.example/x");
    assert_eq!(verbs[1]["bidirectionalAudio"]["enabled"], true);
    assert!(stream("ws://media.example/x").is_err());
    assert!(stream("x").is_err());
    let silent = Answer::Say {
        text: " ".to_owned(),
    };
    assert!(verbs::carrying_out(&silent).is_err());
    let body: Value = serde_json::from_str(&verbs::rejection().body).unwrap();
    assert_eq!(body[0]["verb"], "sip:decline");
    assert_eq!(body[0]["status"], 603);
}
