//! More requests than the database can follow: nobody waits for long, nobody is told what is not
//! true, and ends come through while lists and new calls are turned away.

use std::time::{Duration, Instant};

use onhook::{
    boot::Node,
    domain::token::{Environment, Scope},
};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::books;
use crate::support::{
    app::TestApp,
    client::{Reply, TestClient},
    wait::wait_for,
};

/// Ten times the connections of a test's node.
const CLIENTS: usize = 80;

/// The promise is a second; the machine runs other tests beside this one.
const LATEST: Duration = Duration::from_millis(1900);

/// How long PostgreSQL lets a statement run.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// A node with the patience of a real one, and a client of it.
async fn hurried(app: &TestApp, token: &str) -> (Node, TestClient) {
    let node = app
        .node_with(&[("ONHOOK_DATABASE_PATIENCE_MS", "800")])
        .await;
    let client = TestClient::new(&format!("http://{}", node.address), Some(token));
    // Its connections to the database are made by what is asked first.
    let list = ask(&client, &Method::GET, "/api/v1/calls", "");
    list.join_all().await;
    (node, client)
}

/// Sends the same request from many clients at once: the answers, with how long each took.
fn ask(client: &TestClient, method: &Method, path: &str, body: &str) -> JoinSet<(Reply, Duration)> {
    let mut asking = JoinSet::new();
    for _ in 0..CLIENTS {
        let (client, method) = (client.clone(), method.clone());
        let (path, body) = (path.to_owned(), body.to_owned());
        asking.spawn(async move {
            let started = Instant::now();
            let headers = [("content-type", "application/json")];
            let reply = client.send(method, &path, &headers, &body).await;
            (reply, started.elapsed())
        });
    }
    asking
}

/// Takes the answers of all but `stuck` clients; each must be a refusal in time.
async fn assert_turned_away(asking: &mut JoinSet<(Reply, Duration)>, stuck: usize) {
    for _ in stuck..CLIENTS {
        let (reply, took) = asking
            .join_next()
            .await
            .expect("an answer")
            .expect("no panic");
        assert_eq!(reply.status, 503, "{}", reply.text);
        assert!(reply.header("retry-after").is_some());
        assert!(took < LATEST, "{took:?}: {}", reply.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_token_is_never_called_invalid_for_want_of_a_connection() {
    let app = TestApp::running().await;
    let id = app.place_answered().await;
    let token = app
        .token(
            Environment::Live,
            &[Scope::CallsEnd, Scope::CallsRead],
            None,
        )
        .await;
    let (node, client) = hurried(&app, &app.tenant.token).await;
    let client = client.with_token(Some(&token));
    let mut tokens = app.database.as_owner().await;
    books::run(&mut tokens, "BEGIN; LOCK TABLE tokens").await;

    let path = format!("/api/v1/calls/{id}/end");
    let mut asking = ask(&client, &Method::POST, &path, "");
    assert_turned_away(&mut asking, 8).await;
    books::run(&mut tokens, "ROLLBACK").await;

    let released = Instant::now();
    let reply = client.post_nothing(&path).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(released.elapsed() < Duration::from_secs(1));
    while let Some(stuck) = asking.join_next().await {
        assert_eq!(stuck.expect("no panic").0.status, 200);
    }
    books::assert_ended_once(&app, &id).await;
    node.stop().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_come_through_while_new_calls_take_every_connection_that_they_may() {
    let app = TestApp::running().await;
    let id = app.place_answered().await;
    let (node, client) = hurried(&app, &app.tenant.token).await;
    let mut agents = app.database.as_owner().await;
    let locked = Instant::now();
    books::run(&mut agents, "BEGIN; LOCK TABLE agents").await;
    let body = json!({"agent_id": app.tenant.agent_id, "to": "+15550101"});
    let mut asking = ask(&client, &Method::POST, "/api/v1/calls", &body.to_string());
    let taken = |waiting: &i64| *waiting == 6;
    let blocked = || books::blocked(&app, "find_dial_plan");
    wait_for("new calls to wait", blocked, taken).await;

    let path = format!("/api/v1/calls/{id}/terminate");
    assert_eq!(client.post_nothing(&path).await.status, 200);
    assert_eq!(app.call(&id).await["status"], "completed");

    assert_turned_away(&mut asking, 6).await;
    books::run(&mut agents, "ROLLBACK").await;
    // A machine that is busy with other tests may take longer than a statement may.
    let given_up = locked.elapsed() >= STATEMENT_TIMEOUT;
    while let Some(stuck) = asking.join_next().await {
        let (reply, _) = stuck.expect("no panic");
        let refused = given_up && reply.status == 503 && reply.header("retry-after").is_some();
        assert!(reply.status == 201 || refused, "{}", reply.text);
    }
    node.stop().await;
    app.stop().await;
}
