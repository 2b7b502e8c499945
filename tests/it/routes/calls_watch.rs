//! One call: `GET` with and without waiting, `PATCH`, `DELETE`, its events.

use std::time::Duration;

use onhook::domain::CallId;
use reqwest::Method;
use serde_json::{Value, json};

use super::steps::{far_end, is_refused, nobody_acts, sid};
use crate::support::{app::TestApp, client::Reply};

async fn patch(app: &TestApp, id: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json")];
    let path = format!("/api/v1/calls/{id}");
    let body = body.to_string();
    app.client.send(Method::PATCH, &path, &headers, &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_that_waits_answers_when_the_far_end_hangs_up_or_when_its_time_is_over() {
    let app = TestApp::running().await;
    nobody_acts(&app).await;
    let id = app.place().await;
    let path = format!("/api/v1/calls/{id}");

    // Each milestone, while the request waits for it.
    for (act, milestone, status) in [
        ("answer", "ringing", "in-progress"),
        ("hangup", "ended", "completed"),
    ] {
        sid(&app, &id).await;
        let path = format!("{path}?wait_for={milestone}&timeout=30");
        let waiting = tokio::time::timeout(Duration::from_secs(20), app.client.get(&path));
        let (reply, ()) = tokio::join!(waiting, far_end(&app, &id, act));
        let call = reply.expect("not only at the timeout").json();
        // Ringing and answered come together: whichever is seen first is past the milestone.
        assert_ne!(call["status"], "initiating");
        app.wait_for_status(&id, status).await;
    }
    // What has been reached answers at once.
    for milestone in ["ringing", "answered", "ended"] {
        let waiting = app
            .client
            .get(&format!("{path}?wait_for={milestone}&timeout=60"))
            .await;
        assert_eq!(waiting.json()["status"], "completed");
        assert_eq!(waiting.json()["ended_reason"], "remote_hangup");
    }

    // Nothing happens: the call as it is, when the time is over.
    let id = app.place().await;
    for timeout in [0, 1] {
        let path = format!("/api/v1/calls/{id}?wait_for=ended&timeout={timeout}");
        let waited = app.client.get(&path).await;
        assert_eq!(
            (waited.status, &waited.json()["status"]),
            (200, &json!("initiating"))
        );
    }
    for query in [
        "wait_for=tomorrow",
        "timeout=61",
        "timeout=-1",
        "timeout=1.5",
        "wait_for=ended&wait_for=ended",
        "waitfor=ended",
        "wait_for=%FF",
    ] {
        let refused = app.client.get(&format!("/api/v1/calls/{id}?{query}")).await;
        assert_eq!(refused.status, 422, "{query}: {}", refused.text);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_merged_and_limits_change_while_the_call_is_live() {
    let app = TestApp::by_hand().await;
    let body = json!({
        "agent_id": app.tenant.agent_id,
        "to": "+15550101",
        "metadata": {"order": "1001", "note": "x", "kept": {"a": 1}},
    });
    let reply = app.client.post("/api/v1/calls", &body).await;
    let id = reply.json()["id"].as_str().expect("an id").to_owned();
    app.wait_for_status(&id, "in-progress").await;

    let changed = patch(
        &app,
        &id,
        &json!({"metadata": {"order": "1002", "note": null}, "limits": {"max_duration_seconds": 90}}),
    )
    .await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let merged = json!({"order": "1002", "kept": {"a": 1}});
    assert_eq!(changed.json()["metadata"], merged);
    assert_eq!(
        changed.json()["limits"],
        json!({"max_duration_seconds": 90, "ring_timeout_seconds": 60})
    );
    assert_eq!(changed.json(), app.call(&id).await);
    for nothing in [
        json!({}),
        json!({"metadata": {}}),
        json!({"metadata": null, "limits": null}),
    ] {
        let same = patch(&app, &id, &nothing).await;
        assert_eq!(
            (same.status, same.json()),
            (200, changed.json()),
            "{nothing}"
        );
    }

    // A call that is over keeps what it was, and may still be annotated.
    far_end(&app, &id, "hangup").await;
    let over = app.wait_for_status(&id, "completed").await;
    assert_eq!(over["metadata"], merged);
    let refused = patch(&app, &id, &json!({"limits": {"max_duration_seconds": 60}})).await;
    is_refused(&refused, 422, "VALIDATION_FAILED");
    assert_eq!(refused.json()["errors"][0]["pointer"], "/limits");
    let annotated = patch(&app, &id, &json!({"metadata": {"rated": 5}})).await;
    let mut expected = over;
    expected["metadata"]["rated"] = json!(5);
    assert_eq!((annotated.status, annotated.json()), (200, expected));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_64_kib_at_most_and_what_is_no_change_is_named_by_its_place() {
    let app = TestApp::by_hand().await;
    nobody_acts(&app).await;
    // As large as is allowed; then one byte more, in one piece and by merging.
    let fits = "y".repeat(65_536 - r#"{"x":""}"#.len());
    let place = |text: &str| {
        let body =
            json!({"agent_id": app.tenant.agent_id, "to": "+15550101", "metadata": {"x": text}});
        let client = app.client.clone();
        async move { client.post("/api/v1/calls", &body).await }
    };
    let largest = place(&fits).await;
    assert_eq!(largest.status, 201);
    assert_eq!(place(&format!("{fits}y")).await.status, 422);
    let id = largest.json()["id"].as_str().expect("an id").to_owned();
    for fitting in [json!({}), json!({"x": fits})] {
        let same = patch(&app, &id, &json!({"metadata": fitting})).await;
        assert_eq!(same.status, 200, "{}", same.text);
    }
    for too_large in [json!({"more": 1}), json!({"x": format!("{fits}y")})] {
        let refused = patch(&app, &id, &json!({"metadata": too_large})).await;
        assert_eq!(refused.status, 422);
        assert_eq!(refused.json()["errors"][0]["pointer"], "/metadata");
    }
    assert_eq!(app.call(&id).await["metadata"], json!({"x": fits}));

    for (body, pointer) in [
        (
            json!({"limits": {"max_duration_seconds": 0}}),
            "/limits/max_duration_seconds",
        ),
        (
            json!({"limits": {"max_duration_seconds": 86_401}}),
            "/limits/max_duration_seconds",
        ),
        (
            json!({"limits": {"ring_timeout_seconds": 9}}),
            "/limits/ring_timeout_seconds",
        ),
        (json!({"limits": {}}), "/limits/max_duration_seconds"),
        (json!({"limits": [90]}), "/limits"),
        (json!({"metadata": "x"}), "/metadata"),
        (json!({"status": "completed"}), "/status"),
    ] {
        let refused = patch(&app, &id, &body).await;
        assert_eq!(refused.status, 422, "{body}: {}", refused.text);
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_numbered_without_a_gap_and_show_the_call_as_it_was() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    app.advance(61);
    let path = format!("/api/v1/calls/{id}");
    assert_eq!(
        app.client.post_nothing(&format!("{path}/end")).await.status,
        200
    );
    app.wait_for_status(&id, "completed").await;

    let events = app.client.get(&format!("{path}/events")).await.json();
    let events = events["items"].as_array().expect("events").clone();
    let seen: Vec<(&Value, &Value)> = events
        .iter()
        .map(|event| (&event["type"], &event["data"]["call"]["status"]))
        .collect();
    assert_eq!(
        json!(seen),
        json!([
            ["event_phone_call_started", "initiating"],
            ["event_phone_call_ringing", "ringing"],
            ["event_phone_call_connected", "in-progress"],
            ["event_phone_call_end_requested", "in-progress"],
            ["event_phone_call_ended", "completed"],
            ["event_phone_call_billed", "completed"],
        ])
    );
    let simple = id.parse::<CallId>().expect("an id").0.simple().to_string();
    for (number, event) in (1..).zip(&events) {
        assert_eq!(event["sequence"], number);
        assert_eq!(event["id"], format!("evt_{simple}_{number}"));
        assert_eq!(event["data"]["call"]["last_sequence"], number);
        assert_eq!(event["data"]["call"]["id"], json!(id));
    }
    let call = app.call(&id).await;
    assert_eq!(
        events[5]["data"]["call"], call,
        "the last event is the call as it is"
    );
    assert_eq!(events[4]["timestamp"], call["ended_at"]);
    let after = app
        .client
        .get(&format!("{path}/events?after=4"))
        .await
        .json();
    assert_eq!(after["items"], json!(events[4..]));
    let none = app
        .client
        .get(&format!("{path}/events?after=9223372036854775807"))
        .await;
    assert_eq!(none.text, r#"{"items":[]}"#);
    for query in ["after=-1", "after=x", "before=1"] {
        let refused = app.client.get(&format!("{path}/events?{query}")).await;
        assert_eq!(refused.status, 422, "{query}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_never_deleted() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    let path = format!("/api/v1/calls/{id}");

    let refused = app.client.delete(&path).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (409, &json!("CALL_ACTIVE"))
    );
    assert_eq!(
        refused.json()["detail"],
        format!("The call is live; end it with POST {path}/end")
    );
    assert_eq!(app.call(&id).await["status"], "in-progress");

    far_end(&app, &id, "hangup").await;
    let over = app.wait_for_status(&id, "completed").await;
    let refused = app.client.delete(&path).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (409, &json!("CALL_KEPT"))
    );
    assert_eq!(app.call(&id).await, over);
    app.stop().await;
}
