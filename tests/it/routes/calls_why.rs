//! `GET /api/v1/calls/{id}/why`.

use reqwest::Method;
use serde_json::json;

use super::steps::{far_end, is_refused};
use crate::support::{app::TestApp, wait::wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_tells_why_it_ended_as_json_and_as_markdown() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    let path = format!("/api/v1/calls/{id}/why");

    let live = app.client.get(&path).await;
    assert_eq!(live.status, 200, "{}", live.text);
    assert_eq!(live.json()["state"], "live");
    let told = live.json();
    let steps = told["steps"].as_array().expect("steps");
    assert_eq!(steps[0]["step"], "started");
    assert!(
        steps[0]["by"]
            .as_str()
            .is_some_and(|by| by.starts_with("token:"))
    );

    app.advance(30);
    let body = json!({"note": "a | b"});
    let end = app
        .client
        .post(&format!("/api/v1/calls/{id}/end"), &body)
        .await;
    assert_eq!(end.status, 200, "{}", end.text);
    let call = app.wait_for_status(&id, "completed").await;
    // A callback may show the end before the attempt's own answer is recorded.
    let why = wait_for(
        "the attempt",
        || async { app.client.get(&path).await.json() },
        |why| why["steps"].to_string().contains("\"hang_up\""),
    )
    .await;

    assert_eq!(why["state"], "ended");
    for (member, in_call) in [
        ("ended_at", &call["ended_at"]),
        ("ended_reason", &call["ended_reason"]),
        ("status", &call["status"]),
        ("initiator", &call["end"]["initiator"]),
        ("confirmed_by", &call["end"]["confirmed_by"]),
        ("duration_seconds", &call["duration_seconds"]),
    ] {
        assert_eq!(&why[member], in_call, "{member}");
    }
    assert_eq!(why["rule"], "A program ended it by the API.");
    let steps = why["steps"].as_array().expect("steps");
    let named = |name: &str| steps.iter().find(|step| step["step"] == name);
    let asked = named("end_requested").expect("the wish");
    assert_eq!(asked["by"], call["end"]["initiator"]);
    assert_eq!(asked["request_id"].as_str(), end.header("x-request-id"));
    assert_eq!(
        named("hang_up").expect("an attempt")["answer"]["status"],
        200
    );
    assert_eq!(
        named("ended").expect("the end")["at"],
        call["end"]["confirmed_at"]
    );
    let at: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["at"].as_str())
        .collect();
    assert!(at.is_sorted(), "{at:?}");

    let headers = [("accept", "text/markdown")];
    let markdown = app.client.send(Method::GET, &path, &headers, "").await;
    assert_eq!(
        markdown.header("content-type"),
        Some("text/markdown; charset=utf-8")
    );
    for part in [
        format!("# Why call {id} ended"),
        r"- Note: a \| b".to_owned(),
        r"ended\_by\_api".to_owned(),
    ] {
        assert!(markdown.text.contains(&part), "{part}: {}", markdown.text);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_ended_by_itself_names_nobody() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    far_end(&app, &id, "hangup").await;
    app.wait_for_status(&id, "completed").await;
    let why = app
        .client
        .get(&format!("/api/v1/calls/{id}/why"))
        .await
        .json();
    assert_eq!(
        (&why["initiator"], &why["side"]),
        (&json!(null), &json!("remote"))
    );
    assert_eq!(why["rule"], "The other party hung up.");
    let nothing = app.client.get("/api/v1/calls/CAnobodys/why").await;
    is_refused(&nothing, 404, "CALL_NOT_FOUND");
    app.stop().await;
}
