//! Steps that the routes' stories share.

use serde_json::{Value, json};

use crate::support::{
    app::TestApp,
    client::{Reply, TestClient},
    wait::wait_for,
};

/// When [`TestApp::by_hand`] begins, as the API prints it.
pub const START: &str = "2026-11-21T09:30:00.000Z";

/// A client of the tenant's with connections of its own, all of them opened from now on.
pub fn new_client(app: &TestApp) -> TestClient {
    TestClient::new(
        &format!("http://{}", app.node.address),
        Some(&app.tenant.token),
    )
}

/// Calls that are placed from now on stay at the provider until somebody acts.
pub async fn nobody_acts(app: &TestApp) {
    script(
        app,
        &json!({"ring_after_ms": null, "answer_after_ms": null}),
    )
    .await;
}

pub async fn script(app: &TestApp, change: &Value) {
    let reply = app.sim.post("/_sim/script", change).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

/// The provider's name of a call, once it has one.
pub async fn sid(app: &TestApp, id: &str) -> String {
    let call = wait_for(
        "the provider's id",
        || app.call(id),
        |call| call["call_sid"].as_str().is_some_and(|sid| sid != id),
    )
    .await;
    call["call_sid"].as_str().expect("a sid").to_owned()
}

/// The far end or the network does something: `answer`, `hangup`, `busy`, `no-answer`, `fail`.
pub async fn far_end(app: &TestApp, id: &str, act: &str) {
    let sid = sid(app, id).await;
    let reply = app
        .sim
        .post_nothing(&format!("/_sim/calls/{sid}/{act}"))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

/// One call for each terminal status, with the status. The clock has moved past every end.
pub async fn ended_calls(app: &TestApp) -> Vec<(String, &'static str)> {
    nobody_acts(app).await;
    let mut ended = Vec::new();
    for (acts, status) in [
        (&["answer", "hangup"][..], "completed"),
        (&["busy"], "busy"),
        (&["no-answer"], "no-answer"),
        (&["fail"], "failed"),
    ] {
        let id = app.place().await;
        for act in acts {
            far_end(app, &id, act).await;
        }
        app.wait_for_status(&id, status).await;
        ended.push((id, status));
    }
    let id = app.place().await;
    sid(app, &id).await;
    let path = format!("/api/v1/calls/{id}/end");
    assert_eq!(app.client.post_nothing(&path).await.status, 200);
    app.wait_for_status(&id, "canceled").await;
    ended.push((id, "canceled"));
    app.advance(1);
    ended
}

/// A canonical route's refusal.
#[track_caller]
pub fn is_refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{}", reply.text);
    assert_eq!(reply.json()["code"], code);
    let kind = reply.header("content-type");
    assert_eq!(kind, Some("application/problem+json"));
}

/// How many calls the provider has heard of.
pub async fn dialled(app: &TestApp) -> usize {
    let calls = app.sim.get("/_sim/calls").await.json();
    calls["calls"].as_array().expect("calls").len()
}

/// The headers of an answer that may tell something: all but the request's id and the date.
pub fn telling(headers: &reqwest::header::HeaderMap) -> Vec<(String, String)> {
    let mut telling: Vec<(String, String)> = headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id" && *name != "date")
        .map(|(name, value)| (name.to_string(), format!("{value:?}")))
        .collect();
    telling.sort();
    telling
}
