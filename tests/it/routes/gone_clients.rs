//! A client that goes away while its request is being carried out interrupts nothing: what was begun is
//! recorded.

use std::net::SocketAddr;

use onhook::domain::role::Role;
use serde_json::json;
use sqlx::{Executor as _, PgConnection};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    people,
    support::{app::TestApp, client::TestClient, wait::wait_for},
};

/// One operation: its method, path and body, who asks, and what the audit log says of it.
struct Act {
    request: (&'static str, String, &'static str),
    token: String,
    action: &'static str,
}

/// Sends a request and keeps the connection open.
async fn asked(address: SocketAddr, act: &Act) -> TcpStream {
    let (method, path, body) = &act.request;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         idempotency-key: one\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        act.token,
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream
}

async fn entries(owner: &mut PgConnection, action: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM audit_entries WHERE action = $1")
        .bind(action)
        .fetch_one(owner)
        .await
        .expect("a count")
}

/// Whether the statement waits that does what was asked for; the entry is another's.
async fn waits(app: &TestApp) -> bool {
    let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'
        AND datname = current_database() AND query LIKE '/* db::%')";
    sqlx::query_scalar(waiting)
        .fetch_one(&mut app.database.as_owner().await)
        .await
        .expect("an answer")
}

async fn acts(app: &TestApp) -> Vec<Act> {
    let email = "person@example.com";
    let (_, person) = people::signed_in(app, &app.tenant, email, Role::Owner).await;
    let mine = app.client.with_token(Some(&person));
    people::signed_in(app, &app.tenant, email, Role::Owner).await;
    let sessions = mine.get("/api/v1/sessions").await.json();
    let other = sessions["items"][1]["id"].as_str().expect("a session");
    let invitation = json!({"email": "bob@example.com", "role": "viewer"});
    let invitation = app.client.post("/api/v1/invitations", &invitation).await;
    let invitation = invitation.json()["id"].as_str().expect("one").to_owned();
    let notice = json!({"gateway": {"url": "wss://example.com/agents"}});
    let notice = app.client.post("/api/v1/notices", &notice).await;
    let notice = notice.json()["id"].as_str().expect("one").to_owned();
    let endpoint = format!("/api/v1/webhook-endpoints/{}", app.tenant.endpoint_id);
    let of_tenant = |method, path, body, action| Act {
        request: (method, path, body),
        token: app.tenant.token.clone(),
        action,
    };
    vec![
        Act {
            token: person,
            ..of_tenant(
                "DELETE",
                format!("/api/v1/sessions/{other}"),
                "",
                "session.revoke",
            )
        },
        of_tenant(
            "DELETE",
            format!("/api/v1/invitations/{invitation}"),
            "",
            "invitation.revoke",
        ),
        of_tenant(
            "PATCH",
            endpoint.clone(),
            r#"{"description": "ours"}"#,
            "webhook_endpoint.update",
        ),
        of_tenant(
            "POST",
            format!("{endpoint}/rotate-secret"),
            "{}",
            "webhook_endpoint.rotate_secret",
        ),
        of_tenant(
            "POST",
            format!("{endpoint}/replay"),
            "{}",
            "webhook_endpoint.replay",
        ),
        of_tenant("DELETE", endpoint, "", "webhook_endpoint.delete"),
        // The same acts, at a notice.
        of_tenant(
            "PATCH",
            format!("/api/v1/notices/{notice}"),
            r#"{"description": "ours"}"#,
            "webhook_endpoint.update",
        ),
        of_tenant(
            "DELETE",
            format!("/api/v1/notices/{notice}"),
            "",
            "webhook_endpoint.delete",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_asked_for_is_recorded_although_it_went_away() {
    let app = TestApp::by_hand().await;
    // Whoever comes next is served once the one before is seen to be gone.
    let node = app.node_with(&[("ONHOOK_MAX_CONNECTIONS", "1")]).await;
    let next = TestClient::new(&format!("http://{}", node.address), None);
    let mut owner = app.database.as_owner().await;
    for act in acts(&app).await {
        let (path, action) = (&act.request.1, act.action);
        let before = entries(&mut owner, action).await;
        let mut holder = app.database.as_owner().await;
        let hold = "BEGIN; LOCK TABLE sessions, invitations, webhook_endpoints, webhook_deliveries
            IN SHARE MODE";
        holder.execute(hold).await.expect("held");
        let client = asked(node.address, &act).await;
        wait_for(path, || waits(&app), |waits| *waits).await;
        drop(client);
        let health = next.get("/healthz").await;
        assert_eq!(health.status, 200, "{}", health.text);
        holder.execute("COMMIT").await.expect("released");
        let count = || async { entries(&mut app.database.as_owner().await, action).await };
        wait_for(path, count, |count| *count == before + 1).await;
    }
    app.stop().await;
}
