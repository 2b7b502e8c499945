//! Receivers that hang keep nobody else's waiting.

use onhook::ambient::Tasks;
use serde_json::json;
use tokio::net::TcpListener;

use super::webhooks::only_endpoint;
use crate::support::{
    app::{Tenant, TestApp},
    client::TestClient,
    wait::wait_for,
};

/// More than the 256 places that a node has for receivers that may take long.
const HANGING: usize = 300;

/// A server that takes connections and says nothing: its URL.
async fn silent(tasks: &Tasks) -> String {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hangs", server.local_addr().expect("an address"));
    let stopping = tasks.clone();
    let holding = async move {
        let mut held = Vec::new();
        loop {
            tokio::select! {
                () = stopping.stopping() => return,
                taken = server.accept() => held.push(taken),
            }
        }
    };
    drop(tasks.spawn(holding));
    url
}

/// Endpoints at `url` whose deliveries last for as long as any may.
async fn hanging_endpoints(client: &TestClient, url: &str) {
    let body = json!({"url": url, "timeout_seconds": 120});
    for _ in 0..HANGING {
        let reply = client.post("/api/v1/webhook-endpoints", &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
    }
}

async fn place(client: &TestClient, tenant: &Tenant) {
    let body = json!({"agent_id": tenant.agent_id, "to": "+15550101"});
    let reply = client.post("/api/v1/calls", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_whose_receivers_all_hang_keeps_no_other_waiting() {
    let app = TestApp::running().await;
    let stranger = app.client.with_token(Some(&app.stranger.token));
    hanging_endpoints(&stranger, &silent(&app.ambient.tasks).await).await;
    let path = "/first";
    only_endpoint(&app, path, json!({})).await;
    place(&stranger, &app.stranger).await;
    // Two events of one call are claimed for each: more receivers than there are places.
    let claimed = || async {
        let sql = "SELECT count(*) FROM webhook_deliveries WHERE lease IS NOT NULL";
        let count: i64 = sqlx::query_scalar(sql)
            .fetch_one(&mut app.database.as_owner().await)
            .await
            .expect("a count");
        count
    };
    wait_for("the hanging ones", claimed, |claimed| *claimed > 2 * 256).await;

    // An endpoint of which nothing is known shares the places of those that may take long.
    place(&app.client, &app.tenant).await;
    let arrived = || async {
        let received = app.receiver.received().into_iter();
        received.filter(|event| event.path == path).count()
    };
    wait_for("the other's event", arrived, |arrived| *arrived > 0).await;
    app.stop().await;
}
