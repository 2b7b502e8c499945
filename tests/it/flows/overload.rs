//! More requests than the database can follow: nobody waits for long, nobody is told what is not
//! true, and ends come through while lists and new calls are turned away.

use std::time::Duration;

use onhook::{
    app::calls::wait,
    boot::Node,
    db::calls::{self, CallRef},
    domain::{
        call::Call,
        token::{Environment, Scope},
    },
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

/// Sends the same request from many clients at once.
fn ask(client: &TestClient, method: &Method, path: &str, body: &str) -> JoinSet<Reply> {
    let mut asking = JoinSet::new();
    for _ in 0..CLIENTS {
        let (client, method) = (client.clone(), method.clone());
        let (path, body) = (path.to_owned(), body.to_owned());
        asking.spawn(async move {
            let headers = [("content-type", "application/json")];
            client.send(method, &path, &headers, &body).await
        });
    }
    asking
}

/// Takes the answers of all but `stuck` clients; each must be a refusal. That they come while the
/// others are still stuck is the proof that nobody waits for them; how soon is the benchmark's to say.
async fn assert_turned_away(asking: &mut JoinSet<Reply>, stuck: usize) {
    for _ in stuck..CLIENTS {
        let reply = asking.join_next().await.expect("an answer");
        let reply = reply.expect("no panic");
        assert_eq!(reply.status, 503, "{}", reply.text);
        assert!(reply.header("retry-after").is_some());
    }
    assert_eq!(asking.len(), stuck);
}

/// Takes the answers of the others, once nothing keeps them any more.
async fn assert_answered(asking: JoinSet<Reply>, status: u16) {
    for reply in asking.join_all().await {
        assert_eq!(reply.status, status, "{}", reply.text);
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

    assert_answered(asking, 200).await;
    let reply = client.post_nothing(&path).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
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
    books::run(&mut agents, "BEGIN; LOCK TABLE agents").await;
    let mut asking = new_calls_that_wait(&app, &client).await;

    let path = format!("/api/v1/calls/{id}/terminate");
    let ended = client.post_nothing(&path).await;
    assert_eq!(
        ended.status,
        200,
        "{} {:#}",
        ended.text,
        app.call(&id).await
    );
    assert_eq!(app.call(&id).await["status"], "completed");

    assert_turned_away(&mut asking, 6).await;
    books::run(&mut agents, "ROLLBACK").await;
    assert_answered(asking, 201).await;
    node.stop().await;
    app.stop().await;
}

/// New calls that take every connection that they may, while the agents are locked.
async fn new_calls_that_wait(app: &TestApp, client: &TestClient) -> JoinSet<Reply> {
    let body = json!({"agent_id": app.tenant.agent_id, "to": "+15550101"});
    let asking = ask(client, &Method::POST, "/api/v1/calls", &body.to_string());
    let taken = |waiting: &i64| *waiting == 6;
    let blocked = || books::blocked(app, "find_dial_plan");
    wait_for("new calls to wait", blocked, taken).await;
    asking
}

/// While there is no connection to spare, nobody looks in between; the look at the end is due.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_node_did_is_seen_before_a_wait_is_over_however_busy_the_database_is() {
    let app = TestApp::running().await;
    let id = app.place_answered().await;
    let (node, client) = hurried(&app, &app.tenant.token).await;
    let reference = CallRef::parse(&id).expect("an id");
    let scope = app.tenant.scope;
    let call = calls::find(&node.app.db, scope, &reference).await;
    let call = call.expect("an answer").expect("the call");
    let mut watch = node.app.db.wake().watch(call.id);
    let mut agents = app.database.as_owner().await;
    books::run(&mut agents, "BEGIN; LOCK TABLE agents").await;
    let mut asking = new_calls_that_wait(&app, &client).await;
    assert_turned_away(&mut asking, 6).await;
    let path = format!("/api/v1/calls/{id}/terminate");
    assert_eq!(app.client.post_nothing(&path).await.status, 200);
    app.wait_for_status(&id, "completed").await;

    let bound = Duration::from_secs(1);
    let over = |call: &Call| !call.is_live();
    let call = wait::until(&node.app, scope, call.into(), &mut watch, bound, over).await;

    assert!(!call.is_live(), "{:?}", call.status);
    books::run(&mut agents, "ROLLBACK").await;
    assert_answered(asking, 201).await;
    node.stop().await;
    app.stop().await;
}
