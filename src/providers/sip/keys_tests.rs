//! What credentials may look like: each bridge's members, and that nothing of them is quoted.

use serde_json::{Value, json};

use crate::{
    domain::provider::ProviderKind,
    providers::{Credentials, CredentialsProblem},
};

fn parse(value: &Value) -> Result<Credentials, CredentialsProblem> {
    Credentials::parse(ProviderKind::Sip, value.to_string().as_bytes())
}

fn asterisk() -> Value {
    json!({
        "bridge": "asterisk", "app": "onhook", "username": "u", "password": "hunter2",
        "endpoint": "PJSIP/{to}@trunk",
    })
}

fn jambonz() -> Value {
    json!({
        "bridge": "jambonz", "api_key": "hunter2", "webhook_secret": "wh_secret_hunter2",
        "account_sid": "6a1b2c3d-0000-4000-8000-000000000001",
    })
}

fn plain() -> Value {
    json!({
        "bridge": "http",
        "hang_up": {
            "method": "POST", "url": "/calls/{call_id}/hangup", "accepted": [200, 202],
            "already_over": [409], "unknown": [404],
        },
        "dial": {"method": "POST", "url": "https://pbx.example/calls", "accepted": [201]},
        "headers": {"Authorization": "Bearer hunter2"},
    })
}

/// `base` with the member at `pointer` (below an object that is there) set to `value`.
fn with(mut base: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = base.pointer_mut(parent).unwrap();
    parent
        .as_object_mut()
        .unwrap()
        .insert(name.to_owned(), value);
    base
}

#[test]
fn each_bridge_is_told_by_its_member() {
    for good in [
        asterisk(),
        with(asterisk(), "/endpoint", "PJSIP/{to_digits}@trunk".into()),
        jambonz(),
        with(
            jambonz(),
            "/application_sid",
            "6a1b2c3d-0000-4000-8000-000000000002".into(),
        ),
        plain(),
        with(plain(), "/dial", Value::Null),
        with(plain(), "/webhook_secret", "hunter2".into()),
    ] {
        assert!(parse(&good).is_ok(), "{good}: {:?}", parse(&good).err());
    }
}

fn assert_problems<const N: usize>(table: [(Value, &str); N]) {
    for (value, expected) in table {
        let problem = parse(&value).unwrap_err().to_string();
        assert!(problem.contains(expected), "{value}: {problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}

#[test]
fn what_is_wrong_with_asterisks_is_named_and_not_quoted() {
    assert_problems([
        (json!({}), "bridge must be"),
        (json!({"bridge": "hunter2"}), "bridge must be"),
        (
            with(asterisk(), "/hunter2", 1.into()),
            "may hold only bridge, app",
        ),
        (
            with(asterisk(), "/password", Value::Null),
            "password is missing",
        ),
        (
            with(asterisk(), "/password", "hunter2 x".into()),
            "password must be one word",
        ),
        (with(asterisk(), "/app", "a/hunter2".into()), "app must be"),
        (with(asterisk(), "/app", "..".into()), "app must be"),
        (with(asterisk(), "/app", "a,hunter2".into()), "app must be"),
        (
            with(asterisk(), "/username", "hunter2:x".into()),
            "username must hold no colon",
        ),
        (
            with(asterisk(), "/endpoint", "PJSIP/hunter2".into()),
            "endpoint must be",
        ),
        (
            with(asterisk(), "/endpoint", "{to}".into()),
            "endpoint must be",
        ),
        (
            with(asterisk(), "/endpoint", "PJSIP/{to}{to_digits}".into()),
            "endpoint must be",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_the_others_is_named_and_not_quoted() {
    assert_problems([
        (
            with(jambonz(), "/account_sid", "hunter2".into()),
            "account_sid must be a UUID",
        ),
        (
            with(jambonz(), "/application_sid", "hunter2".into()),
            "application_sid must be",
        ),
        (
            with(jambonz(), "/webhook_secret", Value::Null),
            "webhook_secret is missing",
        ),
        (
            with(plain(), "/dial/hunter2", 1.into()),
            "dial may hold only",
        ),
        (
            with(plain(), "/headers/Host", "hunter2".into()),
            "one of them cannot be sent",
        ),
        (
            with(plain(), "/headers/X", "hunter2\n".into()),
            "one of them cannot be sent",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_a_plain_bridges_termination_is_named_and_not_quoted() {
    assert_problems([
        (with(plain(), "/hang_up", Value::Null), "hang_up is missing"),
        (
            with(plain(), "/hang_up", "hunter2".into()),
            "hang_up must be an object",
        ),
        (
            with(plain(), "/hang_up/method", "GET".into()),
            "hang_up.method must be",
        ),
        (
            with(plain(), "/hang_up/url", "/hunter2".into()),
            "must hold {call_id}",
        ),
        (
            with(plain(), "/hang_up/url", "//hunter2/{call_id}".into()),
            "must begin with",
        ),
        (
            with(plain(), "/hang_up/url", "ftp://hunter2/{call_id}".into()),
            "must begin with",
        ),
        (
            with(plain(), "/hang_up/url", "https://{call_id}.example/".into()),
            "its host plainly",
        ),
        (
            with(
                plain(),
                "/hang_up/url",
                "https://u:hunter2@x/{call_id}".into(),
            ),
            "its host plainly",
        ),
        (
            with(plain(), "/hang_up/accepted", json!([])),
            "statuses of 2xx",
        ),
        (
            with(plain(), "/hang_up/accepted", json!([404])),
            "statuses of 2xx",
        ),
        (
            with(plain(), "/hang_up/accepted", json!(["200"])),
            "list of statuses",
        ),
        (
            with(plain(), "/hang_up/already_over", json!([401])),
            "must hold no 401",
        ),
        (
            with(plain(), "/hang_up/already_over", json!([503])),
            "must hold no 401",
        ),
        (
            with(plain(), "/hang_up/already_over", json!([404])),
            "one thing only",
        ),
    ]);
}
