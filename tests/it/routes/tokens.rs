//! `/api/v1/tokens`: what programs show, made by programs.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use onhook::domain::token::{Environment, Scope};
use serde_json::{Value, json};
use sqlx::Executor as _;
use strum::VariantArray as _;
use tokio::task::JoinSet;

use crate::support::{
    app::TestApp,
    client::{Reply, TestClient},
    contents::contents,
    wait::wait_for,
};

const PATH: &str = "/api/v1/tokens";

async fn make(client: &TestClient, body: &Value) -> Value {
    let reply = client.post(PATH, body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("no {member}: {value}"))
}

fn pointers(reply: &Reply) -> Vec<String> {
    let errors = reply.json()["errors"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let pointer = |error: &Value| error["pointer"].as_str().expect("a pointer").to_owned();
    errors.iter().map(pointer).collect()
}

/// The actor and the detail of the audit log's entry about an act on `subject`.
async fn audited(app: &TestApp, action: &str, subject: &str) -> (String, Value) {
    let mut owner = app.database.as_owner().await;
    sqlx::query_as("SELECT actor, detail FROM audit_entries WHERE action = $1 AND subject = $2")
        .bind(action)
        .bind(subject)
        .fetch_one(&mut owner)
        .await
        .expect("an entry")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_and_does_what_it_was_given() {
    let app = TestApp::by_hand().await;
    let body = json!({
        "name": "reader", "scopes": ["calls:read", "calls:read"],
        "agent_ids": [app.tenant.agent_id], "source_addresses": ["127.0.0.1", "2001:db8::1/32"],
        "expires_at": "2026-12-01T00:00:00Z",
    });

    let reply = app.client.post(PATH, &body).await;

    assert_eq!(reply.status, 201, "{}", reply.text);
    let made = reply.json();
    let (id, token) = (
        text(&made, "id").to_owned(),
        text(&made, "token").to_owned(),
    );
    assert_eq!(
        reply.header("location"),
        Some(format!("{PATH}/{id}").as_str())
    );
    let mut shown = made.clone();
    shown.as_object_mut().expect("an object").remove("token");
    let maker = text(&shown, "created_by").to_owned();
    assert!(maker.starts_with("token:"), "{maker}");
    assert_eq!(
        shown,
        json!({
            "id": id, "name": "reader", "prefix": &token[..13], "environment": "live",
            "scopes": ["calls:read"], "agent_ids": [app.tenant.agent_id],
            "source_addresses": ["127.0.0.1/32", "2001:db8::/32"],
            "created_at": "2026-11-21T09:30:00.000Z", "created_by": maker,
            "expires_at": "2026-12-01T00:00:00.000Z", "last_used_at": null, "revoked_at": null,
            "replaced_by": null,
        })
    );
    let list = app.client.get(PATH).await;
    assert!(
        list.json()["items"]
            .as_array()
            .expect("items")
            .contains(&shown),
        "{}",
        list.text
    );
    assert!(!list.text.contains(&token), "{}", list.text);
    assert_eq!(app.client.get(&format!("{PATH}/{id}")).await.json(), shown);

    let reader = app.client.with_token(Some(&token));
    assert_eq!(reader.get("/api/v1/calls").await.status, 200);
    let refused = reader.get(PATH).await;
    assert_eq!(
        (refused.status, refused.json()["code"].clone()),
        (403, json!("SCOPE_MISSING"))
    );

    let (actor, detail) = audited(&app, "token.create", &id).await;
    assert_eq!(actor, maker);
    assert_eq!(detail["before"], Value::Null);
    assert_eq!(detail["after"]["scopes"], json!(["calls:read"]));
    let mut owner = app.database.as_owner().await;
    let everything: String = sqlx::query_scalar(
        "SELECT string_agg(a::text, '') || (SELECT string_agg(t::text, '') FROM tokens t) FROM audit_entries a",
    )
    .fetch_one(&mut owner)
    .await
    .expect("the tables");
    assert!(!everything.contains(token.get(13..).expect("the secret")));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_away_more_than_he_has() {
    let app = TestApp::by_hand().await;
    let agent = app.tenant.agent_id;
    let narrow = make(
        &app.client,
        &json!({
            "name": "narrow", "environment": "test", "scopes": ["calls:read", "tokens:write", "tokens:read"],
            "agent_ids": [agent], "source_addresses": ["127.0.0.0/8"],
            "expires_at": "2026-11-22T00:00:00Z",
        }),
    )
    .await;
    let narrow = app.client.with_token(Some(text(&narrow, "token")));

    for (members, expected) in [
        (json!({"scopes": ["calls:read", "calls:end"]}), "/scopes/1"),
        (json!({"environment": "live"}), "/environment"),
        (
            json!({"source_addresses": ["127.0.0.0/7"]}),
            "/source_addresses",
        ),
        (
            json!({"source_addresses": ["203.0.113.0/24"]}),
            "/source_addresses",
        ),
        (json!({"expires_at": "2026-11-22T00:00:01Z"}), "/expires_at"),
    ] {
        let mut body = json!({"name": "x", "scopes": ["calls:read"]});
        let object = body.as_object_mut().expect("an object");
        object.extend(members.as_object().expect("members").clone());
        let refused = narrow.post(PATH, &body).await;
        assert_eq!(refused.status, 403, "{members}: {}", refused.text);
        assert_eq!(refused.json()["code"], "GRANT_EXCEEDED");
        assert_eq!(pointers(&refused), [expected], "{members}");
    }
    let foreign =
        json!({"name": "x", "scopes": ["calls:read"], "agent_ids": [app.stranger.agent_id]});
    assert_eq!(
        narrow.post(PATH, &foreign).await.json()["code"],
        "AGENT_NOT_FOUND"
    );
    assert_eq!(
        app.client.post(PATH, &foreign).await.json()["code"],
        "AGENT_NOT_FOUND"
    );

    // What is left out is its own, no more.
    let made = make(
        &narrow,
        &json!({"name": "narrower", "scopes": ["calls:read"]}),
    )
    .await;
    assert_eq!(
        (
            &made["environment"],
            &made["agent_ids"],
            &made["source_addresses"],
            &made["expires_at"]
        ),
        (
            &json!("test"),
            &json!([agent]),
            &json!(["127.0.0.0/8"]),
            &json!("2026-11-22T00:00:00.000Z")
        )
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_token_sees_its_own_world_and_rotates_nothing_that_may_do_more() {
    let app = TestApp::by_hand().await;
    let agent = app.tenant.agent_id;
    let own = ["calls:read", "tokens:write", "tokens:read"];
    let body =
        json!({"name": "narrow", "environment": "test", "scopes": own, "agent_ids": [agent]});
    let narrow = make(&app.client, &body).await;
    let narrow = app.client.with_token(Some(text(&narrow, "token")));
    make(
        &narrow,
        &json!({"name": "narrower", "scopes": ["calls:read"]}),
    )
    .await;
    let list = narrow.get(PATH).await.json();
    let seen = list["items"].as_array().expect("items");
    assert!(
        seen.iter().all(|token| token["environment"] == "test"),
        "{list}"
    );
    assert_eq!(seen.len(), 2, "{list}");
    let all = make(
        &app.client,
        &json!({"name": "all", "environment": "test", "scopes": ["calls:read", "calls:end"], "agent_ids": [agent]}),
    )
    .await;
    let rotated = narrow
        .post_nothing(&format!("{PATH}/{}/rotate", text(&all, "id")))
        .await;
    assert_eq!(rotated.json()["code"], "GRANT_EXCEEDED", "{}", rotated.text);
    let live = make(
        &app.client,
        &json!({"name": "live", "scopes": ["calls:read"]}),
    )
    .await;
    let path = format!("{PATH}/{}", text(&live, "id"));
    assert_eq!(narrow.get(&path).await.json()["code"], "TOKEN_NOT_FOUND");
    assert_eq!(narrow.delete(&path).await.json()["code"], "TOKEN_NOT_FOUND");
    assert_eq!(
        narrow.post_nothing(&format!("{path}/rotate")).await.json()["code"],
        "TOKEN_NOT_FOUND"
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_cannot_be_are_named() {
    let app = TestApp::by_hand().await;
    for (body, pointer) in [
        (json!({"scopes": ["calls:read"]}), "/name"),
        (json!({"name": "", "scopes": ["calls:read"]}), "/name"),
        (json!({"name": "a\nb", "scopes": ["calls:read"]}), "/name"),
        (
            json!({"name": "\u{202e}x", "scopes": ["calls:read"]}),
            "/name",
        ),
        (json!({"name": "x"}), "/scopes"),
        (json!({"name": "x", "scopes": []}), "/scopes"),
        (
            json!({"name": "x", "scopes": ["calls:read", "calls:*"]}),
            "/scopes/1",
        ),
        (
            json!({"name": "x", "scopes": ["calls:read"], "agent_ids": []}),
            "/agent_ids",
        ),
        (
            json!({"name": "x", "scopes": ["calls:read"], "source_addresses": []}),
            "/source_addresses",
        ),
        (
            json!({"name": "x", "scopes": ["calls:read"], "source_addresses": ["1.2.3.4/33"]}),
            "/source_addresses/0",
        ),
        (
            json!({"name": "x", "scopes": ["calls:read"], "expires_at": "2026-11-21T09:30:00Z"}),
            "/expires_at",
        ),
        (json!({"name": "x", "scope": ["calls:read"]}), "/scope"),
    ] {
        let refused = app.client.post(PATH, &body).await;
        assert_eq!(refused.status, 422, "{body}: {}", refused.text);
        assert_eq!(pointers(&refused), [pointer], "{body}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_token_works_beside_the_new_one_for_the_overlap_and_no_longer() {
    let app = TestApp::by_hand().await;
    let old = make(
        &app.client,
        &json!({"name": "dialer", "scopes": ["calls:read"]}),
    )
    .await;
    let path = format!("{PATH}/{}", text(&old, "id"));
    let old_client = app.client.with_token(Some(text(&old, "token")));

    let reply = app
        .client
        .post(&format!("{path}/rotate"), &json!({"overlap_seconds": 60}))
        .await;

    assert_eq!(reply.status, 201, "{}", reply.text);
    let new = reply.json();
    assert_ne!(new["token"], old["token"]);
    assert_eq!(
        (&new["name"], &new["scopes"]),
        (&old["name"], &old["scopes"])
    );
    let new_client = app.client.with_token(Some(text(&new, "token")));
    for client in [&old_client, &new_client] {
        assert_eq!(client.get("/api/v1/calls").await.status, 200);
    }
    let shown = app.client.get(&path).await.json();
    assert_eq!(shown["replaced_by"], new["id"]);
    assert_eq!(shown["expires_at"], "2026-11-21T09:31:00.000Z");
    let again = app.client.post_nothing(&format!("{path}/rotate")).await;
    assert_eq!(
        (again.status, again.json()["code"].clone()),
        (409, json!("TOKEN_NOT_IN_FORCE"))
    );

    app.advance(61);

    wait_for(
        "the old one to be dead",
        || old_client.get("/api/v1/calls"),
        |reply| reply.status == 401,
    )
    .await;
    assert_eq!(new_client.get("/api/v1/calls").await.status, 200);
    let (_, detail) = audited(&app, "token.rotate", text(&old, "id")).await;
    assert_eq!(detail["after"]["replaced_by"], new["id"]);
    for (seconds, status) in [(-1, 422), (2_592_001, 422), (0, 201)] {
        let path = format!("{PATH}/{}/rotate", text(&new, "id"));
        let reply = app
            .client
            .post(&path, &json!({"overlap_seconds": seconds}))
            .await;
        assert_eq!(reply.status, status, "{seconds}: {}", reply.text);
    }
    // Nothing was to overlap: this node forgot it at once.
    assert_eq!(new_client.get("/api/v1/calls").await.status, 401);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_rotated_under_load_without_a_failed_request() {
    let app = TestApp::by_hand().await;
    let made = make(
        &app.client,
        &json!({"name": "x", "scopes": ["calls:read", "tokens:write"]}),
    )
    .await;
    let current = Arc::new(tokio::sync::RwLock::new(made.clone()));
    let (done, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut users = JoinSet::new();
    for _ in 0..8 {
        let (client, current) = (app.client.clone(), Arc::clone(&current));
        let (done, served) = (Arc::clone(&done), Arc::clone(&served));
        users.spawn(async move {
            while !done.load(Ordering::SeqCst) {
                let token = text(&*current.read().await, "token").to_owned();
                let client = client.with_token(Some(&token));
                let reply = client.get("/api/v1/calls?limit=1").await;
                assert_eq!(reply.status, 200, "{}", reply.text);
                served.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    for _ in 0..10 {
        let before = served.load(Ordering::SeqCst);
        let old = current.read().await.clone();
        // Each rotates itself.
        let client = app.client.with_token(Some(text(&old, "token")));
        let reply = client
            .post_nothing(&format!("{PATH}/{}/rotate", text(&old, "id")))
            .await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        *current.write().await = reply.json();
        let more = || async { served.load(Ordering::SeqCst) };
        wait_for("requests to be served", more, |served| {
            *served >= before + 16
        })
        .await;
    }
    done.store(true, Ordering::SeqCst);
    while let Some(user) = users.join_next().await {
        user.expect("no request failed");
    }
    assert_ne!(current.read().await["token"], made["token"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_refused_on_every_node() {
    let app = TestApp::by_hand().await;
    let other = app.node_with(&[]).await;
    let made = make(&app.client, &json!({"name": "x", "scopes": ["calls:read"]})).await;
    let (id, token) = (text(&made, "id"), text(&made, "token"));
    let there = TestClient::new(&format!("http://{}", other.address), Some(token));
    let here = app.client.with_token(Some(token));
    for client in [&here, &there] {
        assert_eq!(client.get("/api/v1/calls").await.status, 200);
    }

    assert_eq!(app.client.delete(&format!("{PATH}/{id}")).await.status, 204);

    assert_eq!(here.get("/api/v1/calls").await.status, 401);
    wait_for(
        "the other node to know",
        || there.get("/api/v1/calls"),
        |reply| reply.status == 401,
    )
    .await;
    let list = app.client.get(PATH).await.text;
    assert!(!list.contains(id), "{list}");
    let shown = app.client.get(&format!("{PATH}/{id}")).await.json();
    assert_eq!(shown["revoked_at"], "2026-11-21T09:30:00.000Z");
    // Again, and nothing more is recorded.
    let before = contents(&app.database).await;
    assert_eq!(app.client.delete(&format!("{PATH}/{id}")).await.status, 204);
    assert_eq!(contents(&app.database).await, before);
    let rotated = app
        .client
        .post_nothing(&format!("{PATH}/{id}/rotate"))
        .await;
    assert_eq!(rotated.json()["code"], "TOKEN_NOT_IN_FORCE");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_another_network_is_a_token_that_nobody_has() {
    let app = TestApp::by_hand().await;
    let body = |networks: &Value| json!({"name": "x", "scopes": ["calls:read"], "source_addresses": networks});
    for (networks, status) in [
        (json!(["127.0.0.0/8"]), 200),
        (json!(["::1", "127.0.0.1/32"]), 200),
        (json!(["203.0.113.0/24"]), 401),
        (json!(["::/0"]), 401),
    ] {
        let made = make(&app.client, &body(&networks)).await;
        let client = app.client.with_token(Some(text(&made, "token")));
        // A header that anybody can write is no address.
        let forwarded = [
            ("x-forwarded-for", "203.0.113.7"),
            ("forwarded", "for=203.0.113.7"),
        ];
        let reply = client
            .send(reqwest::Method::GET, "/api/v1/calls", &forwarded, "")
            .await;
        assert_eq!(reply.status, status, "{networks}: {}", reply.text);
        if status == 401 {
            let unknown = onhook::domain::token::TokenText::new(Environment::Live, [9; 32]);
            let nobody = app
                .client
                .with_token(Some(unknown.reveal()))
                .get("/api/v1/calls")
                .await;
            let without_id = |reply: &Reply| {
                reply
                    .text
                    .replace(reply.header("x-request-id").expect("an id"), "")
            };
            assert_eq!(without_id(&reply), without_id(&nobody));
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_token_was_used_is_written_later_and_for_all_at_once() {
    let app = TestApp::by_hand().await;
    let made = make(&app.client, &json!({"name": "x", "scopes": ["calls:read"]})).await;
    let path = format!("{PATH}/{}", text(&made, "id"));
    let client = app.client.with_token(Some(text(&made, "token")));
    app.node.worker.record_uses().await.expect("written");
    let before = contents(&app.database).await;
    app.advance(60);

    assert_eq!(client.get("/api/v1/calls").await.status, 200);

    // A read wrote nothing.
    assert_eq!(contents(&app.database).await, before);
    assert_eq!(
        app.client.get(&path).await.json()["last_used_at"],
        Value::Null
    );
    assert_eq!(app.node.worker.record_uses().await.expect("written"), 2);
    assert_eq!(
        app.client.get(&path).await.json()["last_used_at"],
        "2026-11-21T09:31:00.000Z"
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_checksum_is_refused_without_the_database() {
    let app = TestApp::by_hand().await;
    let unknown = onhook::domain::token::TokenText::new(Environment::Live, [9; 32]);
    let mut broken = unknown.reveal().to_owned();
    let last = if broken.pop() == Some('0') { '1' } else { '0' };
    broken.push(last);
    // No statement can be run any more.
    app.app.db.close().await;

    let refused = app
        .client
        .with_token(Some(&broken))
        .get("/api/v1/calls")
        .await;
    let looked_up = app
        .client
        .with_token(Some(unknown.reveal()))
        .get("/api/v1/calls")
        .await;

    assert_eq!(
        (refused.status, looked_up.status),
        (401, 503),
        "{} {}",
        refused.text,
        looked_up.text
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_token_reaches_nothing_that_live_calls_use() {
    let app = TestApp::by_hand().await;
    let token = app.token(Environment::Test, Scope::VARIANTS, None).await;
    let client = app.client.with_token(Some(&token));
    for (path, status) in [
        ("/api/v1/agents", 200),
        ("/api/v1/tokens", 200),
        ("/api/v1/webhook-endpoints", 403),
    ] {
        let reply = client.get(path).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text);
        if status == 403 {
            assert_eq!(reply.json()["code"], "ENVIRONMENT_MISMATCH");
        }
    }
    let agent = client.post("/api/v1/agents", &json!({"name": "x"})).await;
    assert_eq!(
        agent.json()["code"],
        "ENVIRONMENT_MISMATCH",
        "{}",
        agent.text
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_that_is_not_verified_makes_no_tokens() {
    let app = TestApp::by_hand().await;
    let mut owner = app.database.as_owner().await;
    owner
        .execute("UPDATE organizations SET verified_at = NULL")
        .await
        .expect("an update");
    let refused = app
        .client
        .post(PATH, &json!({"name": "x", "scopes": ["calls:read"]}))
        .await;
    assert_eq!(
        (refused.status, refused.json()["code"].clone()),
        (403, json!("ACCOUNT_NOT_VERIFIED"))
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_makes_one_token_and_shows_it_again() {
    let app = TestApp::by_hand().await;
    let body = json!({"name": "x", "scopes": ["calls:read"]}).to_string();
    let headers = [
        ("idempotency-key", "one"),
        ("content-type", "application/json"),
    ];
    let send = || {
        app.client
            .send(reqwest::Method::POST, PATH, &headers, &body)
    };
    let (first, second) = (send().await, send().await);
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.text, second.text);
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    app.stop().await;
}
