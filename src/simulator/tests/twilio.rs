//! Twilio's face over loopback HTTP, when nothing goes wrong but what the customer does.

use hyper::{HeaderMap, Method};
use serde_json::{Value, json};

use super::{ACCOUNT, Rig, TOKEN, credentials, json};

#[tokio::test]
async fn a_call_is_placed_rings_is_answered_and_ended_and_each_step_is_called_back() {
    let mut rig = Rig::start().await;
    let id = rig.place().await;
    assert_eq!(
        rig.statuses(3).await,
        ["initiated", "ringing", "in-progress"]
    );
    let ended = json(&rig.hang_up(&id).await.unwrap());
    assert_eq!(ended["status"], "completed");
    assert!(ended["end_time"].as_str().unwrap().ends_with(" +0000"));
    let last = rig.callback().await;
    assert!(last.signed);
    assert_eq!(last.get("CallSid"), id);
    assert_eq!(last.get("AccountSid"), ACCOUNT);
    assert_eq!(last.get("CallStatus"), "completed");
    assert_eq!(last.get("SequenceNumber"), "3");
    assert_eq!(last.get("CallDuration"), "0");
    assert_eq!(last.get("CallbackSource"), "call-progress-events");
    let seen = rig.seen(&id).await;
    assert_eq!(seen["state"], "completed");
    assert_eq!(seen["hangup_requests"], 1);
    assert_eq!(seen["hangups_carried_out"], 1);
    assert_eq!(seen["create_requests"], 1);
    rig.ambient.tasks.stop();
    rig.ambient.tasks.ended().await;
}

#[tokio::test]
async fn a_second_hang_up_meets_a_call_that_is_over() {
    let rig = Rig::start().await;
    rig.stand_still().await;
    let id = rig.place().await;
    assert_eq!(json(&rig.hang_up(&id).await.unwrap())["status"], "canceled");
    let error = rig.hang_up(&id).await.unwrap();
    assert_eq!(error.status, 400);
    assert_eq!(
        json(&error),
        json!({
            "code": 21220,
            "message": "Call is not in-progress. Cannot redirect.",
            "more_info": "https://www.twilio.com/docs/errors/21220",
            "status": 400,
        })
    );
    rig.control(Method::POST, "/script", r#"{"over_answer":"record"}"#)
        .await;
    let record = rig.hang_up(&id).await.unwrap();
    assert_eq!(
        (record.status, &json(&record)["status"]),
        (200, &json!("canceled"))
    );
    rig.control(Method::POST, "/script", r#"{"over_answer":"not-found"}"#)
        .await;
    assert_eq!(rig.hang_up(&id).await.unwrap().status, 404);
    let seen = rig.seen(&id).await;
    assert_eq!(seen["hangup_requests"], 4);
    assert_eq!(seen["hangups_carried_out"], 1);
}

#[tokio::test]
async fn a_hang_up_may_be_answered_before_it_takes_effect() {
    let mut rig = Rig::start().await;
    rig.control(
        Method::POST,
        "/script",
        r#"{"hangup_answer":"in-progress"}"#,
    )
    .await;
    let id = rig.place().await;
    rig.statuses(3).await;
    let answer = json(&rig.hang_up(&id).await.unwrap());
    assert_eq!(
        (&answer["status"], &answer["end_time"]),
        (&json!("in-progress"), &Value::Null)
    );
    assert_eq!(rig.statuses(1).await, ["completed"]);
}

#[tokio::test]
async fn cancelling_spares_a_call_in_progress() {
    let rig = Rig::start().await;
    rig.stand_still().await;
    let id = rig.place().await;
    rig.control(Method::POST, &format!("/calls/{id}/answer"), "")
        .await;
    let path = format!("/Calls/{id}.json");
    let answer = rig
        .twilio(Method::POST, &path, "Status=canceled")
        .await
        .unwrap();
    assert_eq!(
        (answer.status, &json(&answer)["status"]),
        (200, &json!("in-progress"))
    );
}

#[tokio::test]
async fn the_called_party_is_busy_and_the_callback_says_how_the_network_put_it() {
    let mut rig = Rig::start().await;
    rig.stand_still().await;
    let id = rig.place().await;
    let (status, call) = rig
        .control(Method::POST, &format!("/calls/{id}/busy"), "")
        .await;
    assert_eq!((status, &call["state"]), (200, &json!("busy")));
    rig.callback().await;
    let busy = rig.callback().await;
    assert_eq!(busy.get("CallStatus"), "busy");
    assert_eq!(busy.get("SipResponseCode"), "486");
    let again = rig
        .control(Method::POST, &format!("/calls/{id}/answer"), "")
        .await;
    assert_eq!(again.0, 409);
}

#[tokio::test]
async fn unless_asked_otherwise_only_the_end_is_called_back() {
    let mut rig = Rig::start().await;
    let order = rig.order("&Timeout=1");
    rig.control(Method::POST, "/script", r#"{"answer_after_ms":null}"#)
        .await;
    rig.twilio(Method::POST, "/Calls.json", &order)
        .await
        .unwrap();
    let only = rig.callback().await;
    assert_eq!(only.get("CallStatus"), "no-answer");
    assert_eq!(only.get("SequenceNumber"), "0");
}

#[tokio::test]
async fn strangers_wrong_bodies_and_unknown_calls_are_refused_as_twilio_does() {
    let rig = Rig::start().await;
    let calls = format!("/twilio/2010-04-01/Accounts/{ACCOUNT}/Calls.json");
    for headers in [
        HeaderMap::new(),
        credentials(ACCOUNT, "wrong"),
        credentials("ACffffffffffffffffffffffffffffffff", TOKEN),
    ] {
        let answer = rig.send(Method::GET, &calls, headers, "").await.unwrap();
        assert_eq!(
            (answer.status, &json(&answer)["code"]),
            (401, &json!(20003))
        );
        assert!(answer.header("www-authenticate").is_some());
    }
    let mut headers = credentials(ACCOUNT, TOKEN);
    headers.insert("content-type", "application/json".parse().unwrap());
    let answer = rig.send(Method::POST, &calls, headers, "{}").await.unwrap();
    assert_eq!(answer.status, 415);
    let path = "/Calls/CA00000000000000000000000000000000.json";
    for method in [Method::GET, Method::DELETE] {
        let answer = rig.twilio(method, path, "").await.unwrap();
        assert_eq!(answer.status, 404);
        let body = json(&answer);
        assert_eq!(body["code"], 20404);
        assert_eq!(
            body["message"],
            format!("The requested resource /2010-04-01/Accounts/{ACCOUNT}{path} was not found")
        );
    }
    let answer = rig
        .twilio(Method::POST, "/Calls.json", "From=x")
        .await
        .unwrap();
    assert_eq!(
        (answer.status, &json(&answer)["code"]),
        (400, &json!(21201))
    );
}

#[tokio::test]
async fn a_list_is_newest_first_filtered_and_paged() {
    let rig = Rig::start().await;
    rig.stand_still().await;
    let mut placed = Vec::new();
    for _ in 0..3 {
        placed.push(rig.place().await);
    }
    placed.reverse();
    let sids = |page: &Value| -> Vec<String> {
        let calls = page["calls"].as_array().unwrap();
        calls
            .iter()
            .map(|call| call["sid"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = "/Calls.json?To=%2B15550100101&StartTime%3E=2020-01-01&PageSize=2";
    let first = json(&rig.twilio(Method::GET, first, "").await.unwrap());
    assert_eq!(sids(&first), placed[..2]);
    assert_eq!((&first["page"], &first["end"]), (&json!(0), &json!(1)));
    let next = first["next_page_uri"].as_str().unwrap();
    let next = format!("/twilio{next}");
    let headers = credentials(ACCOUNT, TOKEN);
    let second = json(&rig.send(Method::GET, &next, headers, "").await.unwrap());
    assert_eq!(sids(&second), placed[2..]);
    assert_eq!(second["next_page_uri"], Value::Null);
    for (filter, count) in [
        ("Status=queued", 3),
        ("Status=completed", 0),
        ("From=%2B15550100102", 3),
        ("From=%2B15550100199", 0),
        ("StartTime%3C=2020-01-01", 0),
        ("EndTime%3E=2020-01-01", 0),
    ] {
        let page = rig
            .twilio(Method::GET, &format!("/Calls.json?{filter}"), "")
            .await;
        assert_eq!(sids(&json(&page.unwrap())).len(), count, "{filter}");
    }
}

#[tokio::test]
async fn a_deleted_record_is_not_found_while_the_call_still_calls_back() {
    let mut rig = Rig::start().await;
    rig.stand_still().await;
    let id = rig.place().await;
    let path = format!("/Calls/{id}.json");
    assert_eq!(
        rig.twilio(Method::DELETE, &path, "").await.unwrap().status,
        204
    );
    assert_eq!(
        rig.twilio(Method::GET, &path, "").await.unwrap().status,
        404
    );
    rig.control(Method::POST, &format!("/calls/{id}/answer"), "")
        .await;
    assert_eq!(
        rig.statuses(3).await,
        ["initiated", "ringing", "in-progress"]
    );
}
