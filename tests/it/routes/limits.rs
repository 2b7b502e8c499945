//! What one client may do: requests a minute, and calls that live at once. Ending and reading go on.

use onhook::boot::Node;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tokio::task::JoinSet;

use crate::support::{
    app::TestApp,
    client::{Reply, TestClient},
    operations::{self, Names},
    wait::wait_for,
};

const OF_TOKEN: &str = "ONHOOK_REQUESTS_PER_TOKEN";
const OF_ORGANIZATION: &str = "ONHOOK_REQUESTS_PER_ORGANIZATION";
const CEILING: &str = "ONHOOK_SAFETY_CEILING";

fn client(node: &Node, token: &str) -> TestClient {
    TestClient::new(&format!("http://{}", node.address), Some(token))
}

fn header(reply: &Reply, name: &str) -> String {
    let value = reply.header(name);
    value.unwrap_or_else(|| panic!("no {name}")).to_owned()
}

/// A change that is refused after it was counted: of a call that is nobody's.
async fn change(client: &TestClient) -> Reply {
    let path = "/api/v1/calls/6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
    let body = json!({"metadata": {}}).to_string();
    let kind = [("content-type", "application/json")];
    client
        .send(reqwest::Method::PATCH, path, &kind, &body)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_tell_the_quota_and_when_it_is_used_up_how_long_to_wait() {
    let app = TestApp::by_hand().await;
    let node = app.node_with(&[(OF_TOKEN, "3")]).await;
    let tenant = client(&node, &app.tenant.token);
    for remaining in ["2", "1", "0"] {
        let reply = change(&tenant).await;
        assert_eq!(reply.status, 404, "{}", reply.text);
        assert_eq!(header(&reply, "ratelimit-policy"), "\"token\";q=3;w=60");
        assert_eq!(header(&reply, "x-ratelimit-limit"), "3");
        assert_eq!(header(&reply, "x-ratelimit-remaining"), remaining);
    }
    let refused = change(&tenant).await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert_eq!(header(&refused, "content-type"), "application/problem+json");
    assert_eq!(refused.json()["code"], "RATE_LIMITED");
    assert_eq!(header(&refused, "retry-after"), "20");
    assert_eq!(header(&refused, "ratelimit"), "\"token\";r=0;t=60");

    // Another organisation, and another token of the same, go on.
    assert_eq!(
        change(&client(&node, &app.stranger.token)).await.status,
        404
    );
    app.advance(19);
    assert_eq!(change(&tenant).await.status, 429);
    app.advance(1);
    assert_eq!(change(&tenant).await.status, 404);

    // Where there is no quota, nothing is told of one.
    let reply = app.client.get("/api/v1/calls").await;
    assert_eq!(reply.header("ratelimit"), None);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_quota_refuses_no_end_and_no_read() {
    let app = TestApp::by_hand().await;
    let changes = [(OF_TOKEN, "1"), (OF_ORGANIZATION, "1"), (CEILING, "100000")];
    let node = app.node_with(&changes).await;
    let tenant = client(&node, &app.tenant.token);
    assert_eq!(change(&tenant).await.status, 404);
    assert_eq!(change(&tenant).await.status, 429);

    let (mut refused, mut served) = (Vec::new(), 0);
    for operation in operations::documented() {
        let Some(scopes) = &operation.scopes else {
            continue;
        };
        let call = app.place_answered().await;
        let names = Names::of(&app.client, &app.tenant, call).await;
        let headers: Vec<(&str, &str)> = operation.headers().into_iter().collect();
        let (path, body) = (operation.url_that_ends(&names), operation.body(&names));
        let reply = tenant
            .send(operation.method.clone(), &path, &headers, &body)
            .await;
        let is_safe = operation.method == reqwest::Method::GET || *scopes == ["calls:end"];
        let title = operation.title();
        if is_safe {
            assert_ne!(reply.status, 429, "{title}: {}", reply.text);
            served += 1;
        } else {
            assert_eq!(reply.status, 429, "{title}: {}", reply.text);
            operation.error_style().message(429, &reply.text);
            assert!(reply.header("retry-after").is_some(), "{title}");
            assert!(
                operation.document["responses"]["429"].is_object(),
                "{title} does not document 429"
            );
            refused.push(title);
        }
    }
    assert!(refused.len() >= 6 && served >= 10, "{refused:?} {served}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_gone_mad_meets_the_ceiling() {
    let app = TestApp::by_hand().await;
    let node = app.node_with(&[(CEILING, "5")]).await;
    let tenant = client(&node, &app.tenant.token);
    for _ in 0..5 {
        assert_eq!(tenant.get("/api/v1/calls").await.status, 200);
    }
    let refused = tenant.get("/api/v1/calls").await;
    assert_eq!(refused.status, 429);
    assert_eq!(header(&refused, "ratelimit-policy"), "\"safety\";q=5;w=60");
    assert_eq!(header(&refused, "retry-after"), "12");
    let others = client(&node, &app.stranger.token);
    assert_eq!(others.get("/api/v1/calls").await.status, 200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_identified_is_not_counted() {
    let app = TestApp::by_hand().await;
    let node = app.node_with(&[(OF_TOKEN, "1"), (CEILING, "1")]).await;
    let nobody = client(&node, "ohk_live_x");
    for _ in 0..3 {
        let reply = nobody.get("/api/v1/calls").await;
        assert_eq!((reply.status, reply.header("ratelimit")), (401, None));
    }
    app.stop().await;
}

/// Tries to place so many calls at once; how many were placed, and the refusals.
async fn place_at_once(client: &TestClient, agent: &Value, count: usize) -> (usize, Vec<Reply>) {
    let mut requests = JoinSet::new();
    for _ in 0..count {
        let (client, body) = (
            client.clone(),
            json!({"agent_id": agent, "to": "+15550101"}),
        );
        requests.spawn(async move { client.post("/api/v1/calls", &body).await });
    }
    let replies = requests.join_all().await;
    let (placed, refused): (Vec<Reply>, Vec<Reply>) =
        replies.into_iter().partition(|reply| reply.status == 201);
    (placed.len(), refused)
}

async fn limit(app: &TestApp, table: &str, most: i32) {
    let tenant = app.tenant.organization_id;
    let statement =
        format!("UPDATE {table} SET most_live_calls = {most} WHERE organization_id = '{tenant}'");
    let mut owner = app.database.as_owner().await;
    let done = sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut owner)
        .await
        .expect("an update");
    assert_eq!(done.rows_affected(), 1);
}

async fn live(app: &TestApp) -> i64 {
    let reply = app.client.get("/api/v1/calls/count?status=ongoing").await;
    reply.json()["count"].as_i64().expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_calls_live_than_may_however_many_are_placed_at_once() {
    let app = TestApp::by_hand().await;
    let agent = json!(app.tenant.agent_id);
    for (table, most) in [("organizations", 7), ("agents", 3)] {
        limit(&app, table, most).await;
        let before = live(&app).await;
        assert_eq!(before, 0);
        let (placed, refused) = place_at_once(&app.client, &agent, 24).await;
        assert_eq!(placed, usize::try_from(most).expect("a size"), "{table}");
        for reply in &refused {
            assert_eq!(reply.status, 429, "{}", reply.text);
            assert_eq!(reply.json()["code"], "CONCURRENCY_LIMIT");
            assert_eq!(header(reply, "retry-after"), "5");
        }
        assert_eq!(live(&app).await, i64::from(most));

        // The other organisation has places of its own.
        let others = app.client.with_token(Some(&app.stranger.token));
        let (placed, _) = place_at_once(&others, &json!(app.stranger.agent_id), 1).await;
        assert_eq!(placed, 1);

        // A call that is over has left its place.
        let calls = app.client.get("/api/v1/calls?status=ongoing").await.json();
        let ids: Vec<&str> = calls["items"]
            .as_array()
            .expect("items")
            .iter()
            .filter_map(|call| call["id"].as_str())
            .collect();
        for id in &ids {
            let path = format!("/api/v1/calls/{id}/end");
            assert!(app.client.post(&path, &json!({})).await.status < 300);
            let is_over = |call: &Value| !call["ended_at"].is_null();
            wait_for("the end", || app.call(id), is_over).await;
            let (placed, _) = place_at_once(&app.client, &agent, 2).await;
            assert_eq!(placed, 1, "{table}: one place was free");
        }
        let rest = app.client.get("/api/v1/calls?status=ongoing").await.json();
        for call in rest["items"].as_array().expect("items") {
            let path = format!("/api/v1/calls/{}/end", call["id"].as_str().expect("an id"));
            assert!(app.client.post(&path, &json!({})).await.status < 300);
        }
        wait_for("no call to live", || live(&app), |count| *count == 0).await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drop_in_routes_refuse_a_call_too_many_in_their_own_style() {
    let app = TestApp::by_hand().await;
    limit(&app, "organizations", 0).await;
    let mut refused = 0;
    for operation in operations::documented() {
        if !["create_call", "agent_call", "session_call"].contains(&operation.id.as_str()) {
            continue;
        }
        let names = Names {
            agent_id: app.tenant.agent_id.to_string(),
            ..Names::all("")
        };
        let headers: Vec<(&str, &str)> = operation.headers().into_iter().collect();
        let (path, body) = (operation.url_that_ends(&names), operation.body(&names));
        let reply = app
            .client
            .send(operation.method.clone(), &path, &headers, &body)
            .await;
        assert_eq!(reply.status, 429, "{}", reply.text);
        let says = operation.error_style().message(429, &reply.text);
        assert!(
            says.starts_with("As many calls of the organisation"),
            "{says}"
        );
        refused += 1;
    }
    assert_eq!((refused, live(&app).await), (3, 0));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_limit_is_the_nodes_and_holds_when_many_share_the_lock() {
    let app = TestApp::by_hand().await;
    // More than the server has connections: until the last 400 the lock is shared.
    let node = app.node_with(&[("ONHOOK_LIVE_CALLS", "405")]).await;
    let tenant = client(&node, &app.tenant.token);
    let mut owner = app.database.as_owner().await;
    app.place_answered().await;
    sqlx::raw_sql(
        "CREATE FUNCTION pg_temp.copy() RETURNS void LANGUAGE sql AS $$
            SELECT create_call(c.organization_id, to_jsonb(c) || jsonb_build_object(
                'id', gen_random_uuid(), 'provider_call_id', 'CA' || n), jsonb_build_object(
                'at', now()))
            FROM (SELECT * FROM calls LIMIT 1) c, generate_series(1, 395) n
        $$; SELECT pg_temp.copy()",
    )
    .execute(&mut owner)
    .await
    .expect("calls");
    assert_eq!(live(&app).await, 396);
    let (placed, refused) = place_at_once(&tenant, &json!(app.tenant.agent_id), 24).await;
    assert_eq!((placed, refused.len()), (9, 15));
    app.stop().await;
}
