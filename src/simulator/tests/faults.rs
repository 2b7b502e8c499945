//! Ordered failures and the rest of the control API, over loopback HTTP.

use std::{sync::PoisonError, time::Instant};

use hyper::{HeaderMap, Method};
use serde_json::json;

use super::{ACCOUNT, ANYWHERE, PATIENCE, Rig, TOKEN, client, credentials, json};
use crate::{
    ambient::Ambient,
    outbound::{Failure, Request},
    simulator::Simulator,
};

/// A hang-up to be sent by another client or under another deadline.
fn hang_up_request(rig: &Rig, id: &str) -> Request {
    let mut headers = credentials(ACCOUNT, TOKEN);
    let form = "application/x-www-form-urlencoded".parse().unwrap();
    headers.insert("content-type", form);
    let calls = format!("{}/twilio/2010-04-01/Accounts/{ACCOUNT}/Calls", rig.base);
    Request {
        method: Method::POST,
        url: format!("{calls}/{id}.json").parse().unwrap(),
        headers,
        body: "Status=completed".into(),
    }
}

#[tokio::test]
async fn a_reset_before_leaves_the_call_alone_and_a_reset_after_ends_it() {
    let rig = Rig::start().await;
    rig.stand_still().await;
    let id = rig.place().await;
    for (when, state, carried_out) in [("before", "queued", 0), ("after", "canceled", 1)] {
        rig.fault(&format!(r#""operation":"hangup","reset":"{when}""#))
            .await;
        let lost = rig.hang_up(&id).await.unwrap_err();
        assert!(matches!(lost, Failure::Unknown(_)), "{lost:?}");
        let seen = rig.seen(&id).await;
        assert_eq!(seen["state"], state);
        assert_eq!(seen["hangups_carried_out"], carried_out);
    }
    assert_eq!(rig.hang_up(&id).await.unwrap().status, 400);
    assert_eq!(rig.seen(&id).await["hangup_requests"], 3);
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_has_placed_the_call() {
    let rig = Rig::start().await;
    rig.stand_still().await;
    rig.fault(r#""operation":"create","reset":"after""#).await;
    let order = rig.order("");
    assert!(
        rig.twilio(Method::POST, "/Calls.json", &order)
            .await
            .is_err()
    );
    let page = json(&rig.twilio(Method::GET, "/Calls.json", "").await.unwrap());
    assert_eq!(page["calls"].as_array().unwrap().len(), 1);
    rig.twilio(Method::POST, "/Calls.json", &order)
        .await
        .unwrap();
    let calls = rig.control(Method::GET, "/calls", "").await.1;
    assert_eq!(calls["calls"].as_array().unwrap().len(), 2);
    assert_eq!(calls["calls"][0]["create_requests"], 2);
}

#[tokio::test]
async fn an_ordered_answer_comes_with_the_providers_usual_body_and_the_ordered_headers() {
    let rig = Rig::start().await;
    rig.stand_still().await;
    let id = rig.place().await;
    rig.fault(r#""operation":"hangup","respond":{"status":429,"headers":{"Retry-After":"1"}}"#)
        .await;
    let refused = rig.hang_up(&id).await.unwrap();
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (429, Some("1"))
    );
    assert_eq!(json(&refused)["code"], 20429);
    assert_eq!(rig.seen(&id).await["state"], "queued");
    rig.fault(r#""operation":"hangup","when":"after","respond":{"status":502,"body":"<html>"}"#)
        .await;
    let lied = rig.hang_up(&id).await.unwrap();
    assert_eq!((lied.status, &lied.body[..]), (502, &b"<html>"[..]));
    assert_eq!(rig.seen(&id).await["state"], "canceled");
}

#[tokio::test]
async fn a_provider_that_was_left_waiting_acts_all_the_same() {
    let mut rig = Rig::start().await;
    rig.stand_still().await;
    let id = rig.place().await;
    rig.callback().await;
    rig.fault(r#""operation":"hangup","delay_ms":300"#).await;
    let request = hang_up_request(&rig, &id);
    let impatient = std::time::Duration::from_millis(100);
    let lost = client().send(request, impatient, 1024).await.unwrap_err();
    assert!(matches!(lost, Failure::Unknown(_)), "{lost:?}");
    assert_eq!(rig.statuses(1).await, ["canceled"]);
}

#[tokio::test]
async fn a_delay_after_the_act_only_delays_the_answer() {
    let mut rig = Rig::start().await;
    rig.stand_still().await;
    let id = rig.place().await;
    rig.callback().await;
    rig.fault(r#""operation":"hangup","delay_ms":400,"when":"after""#)
        .await;
    let started = Instant::now();
    let client = rig.client.clone();
    let request = hang_up_request(&rig, &id);
    let answered = async {
        let answer = client.send(request, PATIENCE, 1 << 16).await.unwrap();
        (answer.status, started.elapsed())
    };
    let told = async {
        rig.statuses(1).await;
        started.elapsed()
    };
    let ((status, answered_after), told_after) = tokio::join!(answered, told);
    assert_eq!(status, 200);
    assert!(answered_after.as_millis() >= 400);
    assert!(told_after < answered_after);
}

#[tokio::test]
async fn a_delay_is_over_when_it_is_released() {
    let mut rig = Rig::start().await;
    rig.stand_still().await;
    let id = rig.place().await;
    rig.callback().await;
    rig.fault(r#""operation":"hangup","delay_ms":3600000"#)
        .await;
    let (answer, released) = tokio::join!(
        rig.hang_up(&id),
        rig.control(Method::POST, "/faults/release", "")
    );
    assert_eq!(released.0, 204);
    assert_eq!(answer.unwrap().status, 200);
}

#[tokio::test]
async fn callbacks_come_twice_late_forged_or_never() {
    let mut rig = Rig::start().await;
    rig.stand_still().await;
    for fault in ["\"duplicate\":true", "\"drop\":true", "\"forge\":true"] {
        rig.fault(&format!(r#""operation":"callback",{fault}"#))
            .await;
    }
    let id = rig.place().await;
    rig.control(Method::POST, &format!("/calls/{id}/answer"), "")
        .await;
    let (first, copy) = (rig.callback().await, rig.callback().await);
    assert_eq!(
        (first.get("CallStatus"), copy.get("CallStatus")),
        ("initiated", "initiated")
    );
    assert_eq!(first.token, copy.token);
    let (forged, truth) = (rig.callback().await, rig.callback().await);
    assert_eq!((forged.signed, truth.signed), (false, true));
    assert_eq!(
        truth.get("CallStatus"),
        "in-progress",
        "the ringing was dropped"
    );
    rig.fault(r#""operation":"callback","delay_ms":100"#).await;
    rig.control(Method::POST, &format!("/calls/{id}/hangup"), "")
        .await;
    assert_eq!(rig.statuses(1).await, ["completed"]);
}

#[tokio::test]
async fn a_reordered_callback_is_overtaken_by_the_next() {
    let mut rig = Rig::start().await;
    rig.stand_still().await;
    rig.fault(r#""operation":"callback","reorder":true"#).await;
    let id = rig.place().await;
    rig.control(Method::POST, &format!("/calls/{id}/busy"), "")
        .await;
    assert_eq!(rig.statuses(2).await, ["busy", "initiated"]);
}

#[tokio::test]
async fn a_callback_that_the_customer_fails_to_take_is_sent_again_with_the_same_token() {
    let mut rig = Rig::start().await;
    rig.stand_still().await;
    let answers = rig.answers.lock();
    answers
        .unwrap_or_else(PoisonError::into_inner)
        .extend([503, 500]);
    rig.place().await;
    let tokens = [
        rig.callback().await.token,
        rig.callback().await.token,
        rig.callback().await.token,
    ];
    assert!(tokens.iter().all(|token| *token == tokens[0]));
}

#[tokio::test]
async fn the_benchmarks_numbers_count_requests_and_those_under_way() {
    let rig = Rig::start().await;
    rig.stand_still().await;
    let ids = [rig.place().await, rig.place().await, rig.place().await];
    rig.fault(r#""operation":"hangup","times":0,"delay_ms":300"#)
        .await;
    let (a, b, c) = tokio::join!(
        rig.hang_up(&ids[0]),
        rig.hang_up(&ids[1]),
        rig.hang_up(&ids[2])
    );
    for answer in [a, b, c] {
        assert_eq!(answer.unwrap().status, 200);
    }
    let stats = rig.control(Method::GET, "/stats", "").await.1;
    assert_eq!(
        stats,
        json!({"creates": 3, "hangups": 3, "fetches": 0, "lists": 0, "sockets": 0,
            "max_in_flight_hangups": 3})
    );
    let cleared = rig.control(Method::DELETE, "", "").await.0;
    assert_eq!(cleared, 204);
    let calls = rig.control(Method::GET, "/calls", "").await.1;
    assert_eq!(calls, json!({"calls": []}));
    assert_eq!(rig.control(Method::GET, "/stats", "").await.1["hangups"], 0);
}

#[tokio::test]
async fn what_the_control_api_does_not_know_is_refused_and_says_what_it_knows() {
    let rig = Rig::start().await;
    for (path, body, status, hint) in [
        (
            "/faults",
            r#"{"provider":"acme","operation":"create","drop":true}"#,
            400,
            "twilio",
        ),
        (
            "/faults",
            r#"{"provider":"twilio","operation":"create","drip":1}"#,
            400,
            "`drop`",
        ),
        ("/script", r#"{"ring_after":1}"#, 400, "`ring_after_ms`"),
        ("/calls/CA0/answer", "", 404, "no such call"),
        ("/calls/CA0/sing", "", 404, "no-answer"),
        ("/inbound", "{}", 400, "provider"),
        ("/outbound", "{}", 404, "/_sim/faults"),
    ] {
        let (got, answer) = rig.control(Method::POST, path, body).await;
        let error = answer["error"].as_str().unwrap();
        assert_eq!(got, status, "{path} {error}");
        assert!(error.contains(hint), "{error}");
    }
}

#[tokio::test]
async fn an_account_that_is_let_in_later_is_let_in() {
    let rig = Rig::start().await;
    let account = "ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    let body = json!({"provider": "twilio", "external_id": account, "secret": "s"}).to_string();
    assert_eq!(rig.control(Method::POST, "/accounts", &body).await.0, 201);
    let path = format!("/twilio/2010-04-01/Accounts/{account}/Calls.json");
    let answer = rig
        .send(Method::GET, &path, credentials(account, "s"), "")
        .await;
    assert_eq!(answer.unwrap().status, 200);
    let stranger = rig.send(Method::GET, &path, HeaderMap::new(), "").await;
    assert_eq!(stranger.unwrap().status, 401);
}

#[tokio::test]
async fn no_address_but_loopback_is_listened_on() {
    let mut anyone = ANYWHERE;
    anyone.set_ip("0.0.0.0".parse().unwrap());
    let refused = Simulator::start(anyone, Ambient::system(), Vec::new()).await;
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("loopback only"), "{error}");
}
