//! Local mode: what programs and pages of this machine may do without a token, and nobody else.

use reqwest::Method;
use serde_json::{Value, json};

use super::steps::nobody_acts;
use crate::support::{
    app::TestApp,
    client::{Reply, TestClient},
};

const EMPTY: &str = r#"{"calls":[],"count":0}"#;

async fn list(client: &TestClient, headers: &[(&str, &str)]) -> Reply {
    client.send(Method::GET, "/api/calls", headers, "").await
}

#[track_caller]
fn is_refused(reply: &Reply) {
    let error = "Send a valid API token: without one, local mode answers programs and pages of this machine that ask for localhost, and no proxy";
    assert_eq!(reply.status, 401, "{}", reply.text);
    assert_eq!(reply.json(), json!({"success": false, "error": error}));
    assert_eq!(reply.header("access-control-allow-origin"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_made_listed_and_ended_without_a_token() {
    let app = TestApp::by_hand().await;
    let (_node, local) = app.local_node().await;
    nobody_acts(&app).await;
    let body = json!({"to": "+1234567890", "webhook_url": "https://your-url.ngrok.io"});
    let key = [
        ("content-type", "application/json"),
        ("idempotency-key", "once"),
    ];
    let send = |path: String, body: String| {
        let local = local.clone();
        async move { local.send(Method::POST, &path, &key, &body).await }
    };

    let made = send("/api/call".to_owned(), body.to_string()).await;

    assert_eq!(made.status, 200, "{}", made.text);
    let id = made.json()["call_id"].as_str().expect("an id").to_owned();
    let replayed = send("/api/call".to_owned(), body.to_string()).await;
    assert_eq!((replayed.status, &replayed.text), (200, &made.text));
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    let listed = list(&local, &[]).await.json();
    assert_eq!(
        (&listed["count"], &listed["calls"][0]["call_id"]),
        (&json!(1), &json!(id))
    );
    let path = format!("/api/calls/{id}/end");
    let ended = send(path.clone(), String::new()).await;
    let message = format!(r#"{{"success":true,"message":"Call {id} ended"}}"#);
    assert_eq!((ended.status, &ended.text), (200, &message));
    assert_eq!(send(path, String::new()).await.text, message);
    let call = app.wait_for_status(&id, "canceled").await;
    assert_eq!(call["end"]["initiator"], "local");
    assert_eq!(call["organization_id"], json!(app.tenant.organization_id));

    // The organisation is the configured one, whoever else is there.
    let stranger = local.with_token(Some(&app.stranger.token));
    let theirs = stranger.post("/api/call", &body).await.json();
    let path = format!(
        "/api/calls/{}/end",
        theirs["call_id"].as_str().expect("an id")
    );
    assert_eq!(local.post_nothing(&path).await.status, 404);
    assert_eq!(list(&local, &[]).await.text, EMPTY);
    assert_eq!(list(&stranger, &[]).await.json()["count"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_session_routes_and_only_a_node_in_local_mode_do_without() {
    let app = TestApp::by_hand().await;
    let (node, local) = app.local_node().await;
    for path in [
        "/api/v1/calls",
        "/api/v1/calls/count",
        "/api/v1/webhook-endpoints",
    ] {
        assert_eq!(local.get(path).await.status, 401, "{path}");
    }
    for path in ["/api/v1/calls/x/terminate", "/api/v1/calls/x/end"] {
        assert_eq!(local.post_nothing(path).await.status, 401, "{path}");
    }
    let ordinary = list(&app.client.with_token(None), &[]).await;
    assert_eq!(ordinary.status, 401);
    assert_eq!(
        ordinary.text,
        r#"{"success":false,"error":"Send a valid API token: Authorization: Bearer ohk_live_…"}"#
    );
    // A token that is shown counts, good or bad.
    for header in ["Bearer ohk_live_nonsense", "Bearer ", "", "Basic eDp5"] {
        let reply = list(&local, &[("authorization", header)]).await;
        assert_eq!(reply.status, 401, "{header}");
    }
    assert_eq!(list(&local, &[]).await.text, EMPTY);
    let by_name = TestClient::new(&format!("http://localhost:{}", node.address.port()), None);
    assert_eq!(list(&by_name, &[]).await.text, EMPTY);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_and_proxies_get_nothing_and_change_nothing() {
    let app = TestApp::by_hand().await;
    let (_node, local) = app.local_node().await;
    let id = app.place_answered().await;
    let end = format!("/api/calls/{id}/end");
    for header in [
        ("host", "evil.example:8080"),
        ("host", "127.0.0.1.evil.example"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
    ] {
        is_refused(&list(&local, &[header]).await);
        is_refused(&local.send(Method::POST, &end, &[header], "").await);
        let body = r#"{"to":"+15550101"}"#;
        is_refused(&local.send(Method::POST, "/api/call", &[header], body).await);
        // With a token it is an ordinary request.
        let with_token = local.with_token(Some(&app.tenant.token));
        assert_eq!(list(&with_token, &[header]).await.status, 200, "{header:?}");
    }
    assert_eq!(app.call(&id).await["end"], Value::Null);
    assert_eq!(list(&local, &[]).await.json()["count"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_this_machine_may_read_the_answers() {
    let app = TestApp::by_hand().await;
    let (_node, local) = app.local_node().await;
    let page = [
        ("origin", "http://localhost:3000"),
        ("sec-fetch-site", "cross-site"),
    ];
    let listed = list(&local, &page).await;
    let missing = local
        .send(Method::POST, "/api/calls/x/end", &page, "")
        .await;
    for (reply, status) in [(&listed, 200), (&missing, 404)] {
        assert_eq!(reply.status, status, "{}", reply.text);
        let readable = reply.header("access-control-allow-origin");
        assert_eq!(readable, Some("http://localhost:3000"));
        assert_eq!(reply.header("vary"), Some("origin"));
        assert_eq!(reply.header("access-control-allow-credentials"), None);
    }
    // Who shows a token is no page of local mode's, nor is there one on an ordinary node.
    for client in [&local.with_token(Some(&app.tenant.token)), &app.client] {
        let reply = list(client, &page).await;
        assert_eq!(
            (reply.status, reply.header("access-control-allow-origin")),
            (200, None)
        );
    }
    app.stop().await;
}
