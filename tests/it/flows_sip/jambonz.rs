//! jambonz: signed hooks, answered with its verbs.

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    NUMBER, assert_ended_once, assert_success, call_in, connect, connect_with, fault, party, place,
    place_answered, received, seen, stand_still, terminate, wait_for_state,
};
use crate::support::{
    app::{HELD, TestApp},
    client::Reply,
    wait::wait_for,
};

const ACCOUNT: &str = "6a1b2c3d-0000-4000-8000-000000000001";

/// The bridge's name for the call, once it is known.
async fn named(app: &TestApp, id: &str) -> String {
    let named = |call: &Value| call["call_sid"] != id;
    let call = wait_for("the bridge's name for the call", || app.call(id), named).await;
    call["call_sid"].as_str().expect("a sid").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_placed_answered_and_ended_and_its_end_is_told_by_its_hook() {
    let app = TestApp::running().await;
    let account = connect(&app, ACCOUNT).await;
    let id = place_answered(&app, account).await;
    let sid = named(&app, &id).await;

    assert_success(&terminate(&app, &id).await);

    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["end"]["confirmed_by"], "callback");
    let cause = assert_ended_once(&app, &id, "ended_by_api", "local").await;
    assert_eq!(cause["call_status"], "completed");
    let seen = seen(&app, &sid).await;
    assert_eq!(seen["hangup_requests"], 1);
    assert_eq!(seen["hangups_carried_out"], 1);
    assert_eq!(seen["create_requests"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ringing_call_is_ended_by_the_second_word_at_once() {
    let app = TestApp::running().await;
    let account = connect(&app, ACCOUNT).await;
    stand_still(&app).await;
    let id = place(&app, account).await;
    let sid = named(&app, &id).await;

    assert_success(&terminate(&app, &id).await);

    // There, a call that is given up was not answered.
    app.wait_for_status(&id, "no-answer").await;
    assert_ended_once(&app, &id, "ended_by_api", "local").await;
    let seen = seen(&app, &sid).await;
    assert_eq!(seen["state"], "canceled");
    assert_eq!(seen["hangup_requests"], 2);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_far_ends_hanging_up_or_declining_is_told_and_named() {
    let app = TestApp::running().await;
    let account = connect(&app, ACCOUNT).await;
    let id = place_answered(&app, account).await;
    party(&app, &named(&app, &id).await, "hangup", &json!({})).await;
    app.wait_for_status(&id, "completed").await;
    assert_ended_once(&app, &id, "remote_hangup", "remote").await;

    stand_still(&app).await;
    for (act, details, status, reason, side) in [
        ("busy", json!({}), "busy", "busy", "remote"),
        ("no-answer", json!({}), "no-answer", "no_answer", "remote"),
        (
            "fail",
            json!({"sip_code": 603}),
            "failed",
            "declined",
            "remote",
        ),
    ] {
        let id = place(&app, account).await;
        party(&app, &named(&app, &id).await, act, &details).await;
        app.wait_for_status(&id, status).await;
        assert_ended_once(&app, &id, reason, side).await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_hanging_up_at_once_is_one_end() {
    let app = TestApp::running().await;
    let account = connect(&app, ACCOUNT).await;
    let id = place_answered(&app, account).await;
    let sid = named(&app, &id).await;
    fault(&app, "callback", 1, json!({"delay_ms": HELD})).await;
    party(&app, &sid, "hangup", &json!({})).await;

    assert_success(&terminate(&app, &id).await);

    app.wait_for_status(&id, "completed").await;
    app.release().await;
    let told = |seen: &Value| {
        seen["callbacks"]
            .as_array()
            .is_some_and(|all| all.len() == 5)
    };
    wait_for("the late hook", || seen(&app, &sid), told).await;
    assert_ended_once(&app, &id, "ended_by_api", "local").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_that_fails_is_asked_again_until_it_succeeds() {
    let app = TestApp::running().await;
    let account = connect(&app, ACCOUNT).await;
    let id = place_answered(&app, account).await;
    fault(&app, "hangup", 2, json!({"respond": {"status": 503}})).await;
    let reply = terminate(&app, &id).await;
    assert!(
        reply.status == 200 || reply.json()["code"] == "HANGUP_RETRYING",
        "{}",
        reply.text
    );
    app.wait_for_status(&id, "completed").await;
    let seen = seen(&app, &named(&app, &id).await).await;
    assert_eq!(seen["hangup_requests"], 3);
    assert_eq!(seen["hangups_carried_out"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_of_a_call_that_is_over_succeeds_and_of_one_that_is_unknown_does_not() {
    let app = TestApp::running().await;
    let account = connect(&app, ACCOUNT).await;
    let id = place_answered(&app, account).await;
    fault(&app, "callback", 1, json!({"drop": true})).await;
    party(&app, &named(&app, &id).await, "hangup", &json!({})).await;
    assert_success(&terminate(&app, &id).await);
    app.wait_for_status(&id, "completed").await;
    assert_ended_once(&app, &id, "ended_by_api", "local").await;

    let id = place_answered(&app, account).await;
    for operation in ["hangup", "fetch"] {
        let unknown = json!({"respond": {"status": 404, "body": "Not Found"}});
        fault(&app, operation, 0, unknown).await;
    }
    let reply = terminate(&app, &id).await;
    assert_eq!(reply.status, 500, "{}", reply.text);
    assert_eq!(app.call(&id).await["end"]["state"], "failed");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_whose_answer_is_lost_is_found_by_its_tag_and_never_dialled_twice() {
    let app = TestApp::running().await;
    let account = connect(&app, ACCOUNT).await;
    stand_still(&app).await;
    // Another between the same numbers: only the tag tells them apart.
    let other = named(&app, &place(&app, account).await).await;
    fault(&app, "callback", 1, json!({"drop": true})).await;
    fault(&app, "create", 1, json!({"reset": "after"})).await;
    let id = place(&app, account).await;

    let sid = named(&app, &id).await;

    assert_ne!(sid, other);
    assert_eq!(seen(&app, &sid).await["create_requests"], 1);
    assert_success(&terminate(&app, &id).await);
    app.wait_for_status(&id, "no-answer").await;
    assert_eq!(seen(&app, &other).await["state"], "queued");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_that_are_faster_than_the_answer_to_the_dial_count_at_once() {
    let app = TestApp::running().await;
    let account = connect(&app, ACCOUNT).await;
    let slow = json!({"delay_ms": HELD, "when": "after"});
    fault(&app, "create", 1, slow).await;
    let id = place_answered(&app, account).await;
    assert_success(&terminate(&app, &id).await);
    app.wait_for_status(&id, "completed").await;
    assert_ended_once(&app, &id, "ended_by_api", "local").await;
    let sid = named(&app, &id).await;
    assert_eq!(seen(&app, &sid).await["create_requests"], 1);
    app.release().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_comes_in_is_answered_by_verbs_and_ended_by_us_or_its_caller() {
    let app = TestApp::running().await;
    connect(&app, ACCOUNT).await;
    for (by_us, reason, side) in [
        (true, "ended_by_api", "local"),
        (false, "remote_hangup", "remote"),
    ] {
        let sid = call_in(&app, ACCOUNT, NUMBER).await;
        let call = received(&app, &sid).await;
        let id = call["id"].as_str().expect("an id").to_owned();
        assert_eq!(call["direction"], "inbound");
        app.wait_for_status(&id, "in-progress").await;
        if by_us {
            assert_success(&terminate(&app, &id).await);
        } else {
            party(&app, &sid, "hangup", &json!({})).await;
        }
        app.wait_for_status(&id, "completed").await;
        assert_ended_once(&app, &id, reason, side).await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_number_that_nobody_has_is_declined() {
    let app = TestApp::running().await;
    connect(&app, ACCOUNT).await;
    let sid = call_in(&app, ACCOUNT, "+15550777").await;
    let call = wait_for_state(&app, &sid, "failed").await;
    assert_eq!(call["sip_code"], 603);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_that_come_twice_or_forged_change_nothing() {
    let app = TestApp::running().await;
    let account = connect(&app, ACCOUNT).await;
    fault(&app, "callback", 1, json!({"forge": true})).await;
    fault(&app, "callback", 1, json!({"duplicate": true})).await;
    let id = place_answered(&app, account).await;
    let sid = named(&app, &id).await;
    assert_success(&terminate(&app, &id).await);
    app.wait_for_status(&id, "completed").await;
    let told = |seen: &Value| {
        seen["callbacks"]
            .as_array()
            .is_some_and(|all| all.len() == 7)
    };
    let seen = wait_for("every hook", || seen(&app, &sid), told).await;
    let answers: Vec<(&str, &str, u64)> = seen["callbacks"]
        .as_array()
        .expect("callbacks")
        .iter()
        .map(|sent| {
            let answer = sent["answers"][0].as_u64().expect("an answer");
            let text = |name: &str| sent[name].as_str().expect("a text");
            (text("event"), text("copy"), answer)
        })
        .collect();
    assert_eq!(
        answers,
        [
            ("initiated", "forged", 403),
            ("initiated", "true", 204),
            ("ringing", "true", 204),
            ("ringing", "duplicate", 204),
            ("answered", "true", 200),
            ("asks", "true", 200),
            ("completed", "true", 204),
        ]
    );
    assert_ended_once(&app, &id, "ended_by_api", "local").await;
    app.stop().await;
}

/// Sends the node a hook, signed by `key` as of `signed_at` (unix seconds) over `signed`.
async fn hook(
    app: &TestApp,
    path: &str,
    (body, signed): (&str, &str),
    key: &str,
    signed_at: i64,
) -> Reply {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key");
    mac.update(format!("{signed_at}.{signed}").as_bytes());
    let code = mac.finalize().into_bytes();
    let hex = code
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let signature = format!("t={signed_at},v1={hex}");
    let headers = [
        ("content-type", "application/json"),
        ("jambonz-signature", signature.as_str()),
    ];
    let client = app.client.with_token(None);
    client.send(Method::POST, path, &headers, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_must_be_signed_by_the_accounts_secret_lately_and_for_the_call_of_its_url() {
    let app = TestApp::running().await;
    // The account's secret is the test's: whatever the simulator signs is forged.
    let mine = |credentials: &mut Value| credentials["webhook_secret"] = "wh_secret_mine".into();
    let account = connect_with(&app, ACCOUNT, mine).await;
    stand_still(&app).await;
    let id = place(&app, account).await;
    let sid = named(&app, &id).await;
    let body = |of_account: &str, about: &str| {
        json!({
            "call_sid": sid, "account_sid": of_account, "direction": "outbound",
            "call_status": "in-progress", "sip_status": 200,
            "customer_data": {"onhook_call_id": about},
        })
        .to_string()
    };
    let path = format!("/callbacks/sip/{account}/calls/{id}");
    let now = app.ambient.now().unix_seconds();
    let key = "wh_secret_mine";
    let stranger = app.ambient.entropy.uuid().to_string();
    let good = body(ACCOUNT, &id);
    let changed = good.replace("in-progress", "completed");
    let (other_account, other_call) = (body(&stranger, &id), body(ACCOUNT, &stranger));
    for (sent, signed, key, signed_at, status) in [
        (&good, &good, "wh_secret_other", now, 403),
        (&good, &good, key, now - 302, 403),
        (&changed, &good, key, now, 403),
        (&other_account, &other_account, key, now, 403),
        (&other_call, &other_call, key, now, 400),
    ] {
        let reply = hook(&app, &path, (sent, signed), key, signed_at).await;
        assert_eq!(reply.status, status, "{}", reply.text);
    }
    assert_eq!(app.call(&id).await["status"], "initiating");

    let reply = hook(&app, &path, (&good, &good), key, now).await;

    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.json()[0]["verb"], "say");
    assert_eq!(reply.json()[1]["verb"], "hangup");
    assert_eq!(app.call(&id).await["status"], "in-progress");
    app.stop().await;
}
