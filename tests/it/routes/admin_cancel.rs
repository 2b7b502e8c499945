//! `POST /api/v1/admin/cancel/{call_id}`: the operator, over all organisations.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Executor as _;

use super::steps::{ended_calls, nobody_acts, sid};
use crate::support::{
    app::{ADMIN_TOKEN, HELD, Tenant, TestApp},
    client::{Reply, TestClient},
};

const NOT_FOUND: &str = r#"{"ok":false,"error":"Call not found or already ended"}"#;

fn path(name: &str) -> String {
    format!("/api/v1/admin/cancel/{name}")
}

fn canceled(name: &str) -> String {
    format!(r#"{{"ok":true,"message":"Call {name} canceled"}}"#)
}

async fn cancel(app: &TestApp, name: &str, more: &[(&str, &str)]) -> Reply {
    let mut headers = vec![("x-admin-token", ADMIN_TOKEN)];
    headers.extend(more);
    let nobody = app.client.with_token(None);
    nobody.send(Method::POST, &path(name), &headers, "").await
}

#[track_caller]
fn answers(reply: &Reply, status: u16, body: &str) {
    assert_eq!((reply.status, reply.text.as_str()), (status, body));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(reply.header("x-request-id").is_some());
}

/// An answered call of a tenant's, and a client to look at it.
async fn place(app: &TestApp, tenant: &Tenant) -> (String, TestClient) {
    let client = app.client.with_token(Some(&tenant.token));
    let body = json!({"agent_id": tenant.agent_id, "to": "+15550101"});
    let id = client.post("/api/v1/calls", &body).await.json()["id"].clone();
    let id = id.as_str().expect("an id").to_owned();
    let path = format!("/api/v1/calls/{id}?wait_for=answered&timeout=30");
    assert_eq!(client.get(&path).await.json()["status"], "in-progress");
    (id, client)
}

async fn ended(client: &TestClient, id: &str) -> Value {
    let path = format!("/api/v1/calls/{id}?wait_for=ended&timeout=30");
    client.get(&path).await.json()
}

/// The acts upon a call, as the audit log has them: action, actor, address, detail.
async fn audited(app: &TestApp, id: &str) -> Vec<(String, String, Option<String>, Value)> {
    sqlx::query_as(
        "SELECT action, actor, address, detail FROM audit_entries
        WHERE subject = $1 AND action <> 'call.create' ORDER BY at, action",
    )
    .bind(id)
    .fetch_all(&mut app.database.as_owner().await)
    .await
    .expect("entries")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_whichever_organisation_is_canceled_by_either_id() {
    let app = TestApp::by_hand().await;
    for (tenant, by_our_id, slash) in [
        (&app.tenant, true, ""),
        (&app.tenant, false, "/"),
        (&app.stranger, true, "/"),
        (&app.stranger, false, ""),
    ] {
        let (id, client) = place(&app, tenant).await;
        let call = client.get(&format!("/api/v1/calls/{id}")).await.json();
        let sid = call["call_sid"].as_str().expect("a sid").to_owned();
        let name = if by_our_id { &id } else { &sid };

        let reply = cancel(&app, &format!("{name}{slash}"), &[]).await;

        answers(&reply, 200, &canceled(name));
        let call = ended(&client, &id).await;
        assert_eq!(call["status"], "completed");
        assert_eq!(call["ended_reason"], "admin_cancel");
        assert_eq!(call["end"]["initiator"], "admin");
        let address = Some("127.0.0.1".to_owned());
        let expected = [
            ("call.cancel", json!({"named": name})),
            (
                "call.end",
                json!({
                    "reason": "admin_cancel", "note": null,
                    "before": {"status": "in-progress", "end": null},
                    "after": {"status": "in-progress", "end": "requested"},
                }),
            ),
        ]
        .map(|(action, detail)| {
            (
                action.to_owned(),
                "admin".to_owned(),
                address.clone(),
                detail,
            )
        });
        assert_eq!(audited(&app, &id).await, expected);
        let provider = app.sim.get(&format!("/_sim/calls/{sid}")).await.json();
        assert_eq!(provider["hangup_requests"], 1);
        app.advance(1);
        answers(&cancel(&app, name, &[]).await, 404, NOT_FOUND);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_does_not_wait_for_the_provider_and_repeating_it_is_harmless() {
    let app = TestApp::running().await;
    let id = app.place_answered().await;
    app.fault("hangup", 1, &json!({"delay_ms": HELD})).await;
    let key = [("idempotency-key", "stop-it")];

    for _ in 0..3 {
        answers(&cancel(&app, &id, &[]).await, 200, &canceled(&id));
    }
    answers(&cancel(&app, &id, &key).await, 200, &canceled(&id));

    assert_eq!(app.call(&id).await["status"], "in-progress");
    app.release().await;
    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["ended_reason"], "admin_cancel");
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 1);
    answers(&cancel(&app, &id, &[]).await, 404, NOT_FOUND);
    let replayed = cancel(&app, &id, &key).await;
    answers(&replayed, 200, &canceled(&id));
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_that_fails_goes_on_behind_the_success() {
    let app = TestApp::by_hand().await;
    nobody_acts(&app).await;
    let id = app.place().await;
    sid(&app, &id).await;
    app.fault("hangup", 1, &json!({"respond": {"status": 500}}))
        .await;
    answers(&cancel(&app, &id, &[]).await, 200, &canceled(&id));
    let retried = |call: &Value| call["end"]["attempts"] == 1;
    crate::support::wait::wait_for("the attempt", || app.call(&id), retried).await;
    app.advance(1);
    assert_eq!(app.node.worker.run_due().await.expect("a round"), 1);
    let call = app.wait_for_status(&id, "canceled").await;
    assert_eq!(call["ended_reason"], "admin_cancel");

    // Before it is dialled, there is nobody to hang up on.
    let body = json!({"agent_id": app.tenant.agent_id, "to": "+15550101", "delay_seconds": 60});
    let queued = app.client.post("/api/v1/calls", &body).await.json();
    let queued = queued["id"].as_str().expect("an id");
    answers(&cancel(&app, queued, &[]).await, 200, &canceled(queued));
    let call = app.call(queued).await;
    assert_eq!(
        (&call["status"], &call["ended_reason"]),
        (&json!("canceled"), &json!("admin_cancel"))
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_joins_a_wish_is_audited_too() {
    let app = TestApp::running().await;
    let id = app.place_answered().await;
    app.fault("hangup", 1, &json!({"delay_ms": HELD})).await;
    let path_of_end = format!("/api/v1/calls/{id}/end");
    let wish = app
        .client
        .send(Method::POST, &path_of_end, &[("prefer", "wait=0")], "")
        .await;
    assert_eq!(wish.status, 202, "{}", wish.text);

    answers(&cancel(&app, &id, &[]).await, 200, &canceled(&id));

    app.release().await;
    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["ended_reason"], "ended_by_api", "the first wish's");
    let actions = audited(&app, &id)
        .await
        .into_iter()
        .map(|(action, actor, ..)| (action, actor));
    let actions: Vec<(String, String)> = actions.collect();
    assert_eq!(
        actions[1],
        ("call.cancel".to_owned(), "admin".to_owned()),
        "{actions:?}"
    );
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_or_nobodys_is_not_found() {
    let app = TestApp::by_hand().await;
    for (id, _) in ended_calls(&app).await {
        let before = app.call(&id).await;
        answers(&cancel(&app, &id, &[]).await, 404, NOT_FOUND);
        assert_eq!(app.call(&id).await, before);
    }
    for name in [
        "call_abc123",
        "00000000-0000-4000-8000-000000000000",
        "%00",
        "a%20b",
        "'%20OR%201=1--",
    ] {
        answers(&cancel(&app, name, &[]).await, 404, NOT_FOUND);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_several_live_calls_cancels_none_of_them() {
    let app = TestApp::by_hand().await;
    let (ours, _) = place(&app, &app.tenant).await;
    let (theirs, stranger) = place(&app, &app.stranger).await;
    let name = app.call(&ours).await["call_sid"]
        .as_str()
        .expect("a sid")
        .to_owned();
    let share = format!("UPDATE calls SET provider_call_id = '{name}' WHERE id = '{theirs}'");
    let mut owner = app.database.as_owner().await;
    let shared = owner.execute(sqlx::AssertSqlSafe(share)).await;
    assert_eq!(shared.expect("an update").rows_affected(), 1);

    let reply = cancel(&app, &name, &[]).await;

    assert_eq!(reply.status, 409, "{}", reply.text);
    let error = reply.json()["error"].as_str().expect("an error").to_owned();
    assert!(error.contains(&ours) && error.contains(&theirs), "{error}");
    for (client, id) in [(&app.client, &ours), (&stranger, &theirs)] {
        let call = client.get(&format!("/api/v1/calls/{id}")).await.json();
        assert_eq!(call["end"], Value::Null);
        assert!(audited(&app, id).await.is_empty());
    }
    // By its own id each one can be named, and of the rest the live one is meant.
    answers(&cancel(&app, &ours, &[]).await, 200, &canceled(&ours));
    assert_eq!(
        ended(&app.client, &ours).await["ended_reason"],
        "admin_cancel"
    );
    answers(&cancel(&app, &name, &[]).await, 200, &canceled(&name));
    let call = stranger
        .get(&format!("/api/v1/calls/{theirs}"))
        .await
        .json();
    assert_eq!(call["end"]["reason"], "admin_cancel");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_admin_token_there_is_no_such_route() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    let node = app.node_with(&[("ADMIN_TOKEN", "")]).await;
    let client = TestClient::new(&format!("http://{}", node.address), Some(&app.tenant.token));
    for token in [ADMIN_TOKEN, "", "x"] {
        let headers = [("x-admin-token", token)];
        let mut replies = Vec::new();
        for path in [path(&id), format!("/api/v1/admin/cancels/{id}")] {
            let reply = client.send(Method::POST, &path, &headers, "").await;
            assert_eq!(reply.status, 404, "{}", reply.text);
            let mut problem = reply.json();
            problem["instance"] = Value::Null;
            problem["request_id"] = Value::Null;
            replies.push((problem, reply.header("content-type").map(str::to_owned)));
        }
        assert_eq!(replies[0], replies[1]);
        assert_eq!(replies[0].0["code"], "ROUTE_NOT_FOUND");
    }
    // No organisation's token opens it where it is.
    let refused = app.client.post_nothing(&path(&id)).await;
    answers(
        &refused,
        401,
        r#"{"ok":false,"error":"Send the admin token: X-Admin-Token"}"#,
    );
    assert_eq!(app.call(&id).await["end"], Value::Null);
    app.stop().await;
}
