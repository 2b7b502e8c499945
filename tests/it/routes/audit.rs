//! `/api/v1/audit`: who did what.

use std::collections::BTreeSet;

use onhook::domain::token::{Environment, Scope};
use serde_json::{Value, json};

use super::steps::is_refused;
use crate::support::{app::TestApp, client::Reply};

const PATH: &str = "/api/v1/audit";

fn items(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["items"].as_array().expect("items").clone()
}

fn of<'a>(items: &'a [Value], member: &str) -> Vec<&'a str> {
    items
        .iter()
        .map(|item| item[member].as_str().expect("a text"))
        .collect()
}

async fn export(app: &TestApp, query: &str) -> Reply {
    let headers = [("accept", "application/x-ndjson")];
    let path = format!("{PATH}{query}");
    app.client
        .send(reqwest::Method::GET, &path, &headers, "")
        .await
}

/// A call that is changed and ended, an agent that is changed, an endpoint that is made.
async fn changes(app: &TestApp) -> String {
    let agent = app.tenant.agent_id;
    let call = app.place_answered().await;
    let change = json!({"metadata": {"order": "1001"}, "limits": {"max_duration_seconds": 60}});
    let destinations = json!({"name": "Renamed", "allowed_destinations": ["+49"]});
    let endpoint = json!({"url": "https://example.com/"});
    for (method, path, body) in [
        ("PATCH", format!("/api/v1/calls/{call}"), change),
        (
            "POST",
            format!("/api/v1/calls/{call}/end"),
            json!({"note": "asked for"}),
        ),
        ("PATCH", format!("/api/v1/agents/{agent}"), destinations),
        (
            "POST",
            format!("/api/v1/agents/{agent}/unpublish"),
            json!({}),
        ),
        ("POST", "/api/v1/webhook-endpoints".to_owned(), endpoint),
    ] {
        let method = method.parse().expect("a method");
        let reply = app.client.send(method, &path, &[], &body.to_string()).await;
        assert!(reply.status < 300, "{}", reply.text);
    }
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_told_with_before_and_after_and_without_a_secret() {
    let app = TestApp::by_hand().await;
    changes(&app).await;

    let reply = app.client.get(PATH).await;

    let log = items(&reply);
    let actions: BTreeSet<&str> = of(&log, "action").into_iter().collect();
    let expected = [
        "agent.unpublish",
        "agent.update",
        "call.create",
        "call.end",
        "call.update",
        "organization.create",
        "phone_number.create",
        "provider_account.connect",
        "token.create",
        "webhook_endpoint.create",
    ];
    assert_eq!(actions, BTreeSet::from(expected));
    for entry in &log {
        let detail = entry["detail"].as_object().expect("an object");
        let told = detail.contains_key("before") && detail.contains_key("after");
        assert!(told, "{entry}");
    }
    for secret in [
        &app.tenant.auth_token,
        &app.tenant.webhook_secret,
        &app.tenant.token,
    ] {
        assert!(!reply.text.contains(secret.as_str()), "{}", reply.text);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_tells_who_did_what_from_where_and_what_became_of_it() {
    let app = TestApp::by_hand().await;
    let call = changes(&app).await;
    let log = items(&app.client.get(PATH).await);
    let entry = |action: &str| {
        let found = log.iter().find(|entry| entry["action"] == action);
        found.unwrap_or_else(|| panic!("no {action}")).clone()
    };
    let ended = entry("call.end");
    let text = |member: &str| ended[member].as_str().expect("a text").to_owned();
    assert_eq!(
        (text("subject"), text("address")),
        (call, "127.0.0.1".to_owned())
    );
    assert!(text("actor").starts_with("token:"));
    assert!(text("request_id").starts_with("req_"));
    let detail = &ended["detail"];
    assert_eq!(
        detail["before"],
        json!({"status": "in-progress", "end": null})
    );
    assert_eq!(
        (&detail["after"]["end"], &detail["note"]),
        (&json!("requested"), &json!("asked for"))
    );
    let updated = entry("agent.update")["detail"].clone();
    assert_eq!(updated["before"]["name"], "Default agent");
    let destinations = &updated["after"]["settings"]["allowed_destinations"];
    assert_eq!(destinations, &json!(["+49"]));
    let limits = &entry("call.update")["detail"];
    assert_eq!(limits["before"]["max_duration_seconds"], 3600);
    assert_eq!(limits["after"]["max_duration_seconds"], 60);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_filtered_and_read_page_by_page() {
    let app = TestApp::by_hand().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        app.advance(60);
        ids.push(app.place().await);
    }
    let all = items(&app.client.get(&format!("{PATH}?action=call.create")).await);
    let newest_first: Vec<&str> = ids.iter().rev().map(String::as_str).collect();
    assert_eq!(of(&all, "subject"), newest_first);

    let mut pages = Vec::new();
    let mut path = format!("{PATH}?action=call.create&limit=2");
    loop {
        let reply = app.client.get(&path).await;
        pages.extend(items(&reply));
        let next = reply.json()["next_cursor"].as_str().map(str::to_owned);
        assert_eq!(reply.json()["has_more"], json!(next.is_some()));
        let Some(next) = next else { break };
        path = format!("{PATH}?action=call.create&limit=2&cursor={next}");
        let other = app
            .client
            .get(&format!("{PATH}?limit=2&cursor={next}"))
            .await;
        is_refused(&other, 400, "CURSOR_INVALID");
    }
    assert_eq!(pages, all);

    let actor = all[0]["actor"].as_str().expect("an actor");
    for (query, expected) in [
        (format!("subject={}", ids[2]), 1),
        (format!("actor={actor}&action=call.create"), 5),
        ("actor=token:nobody".to_owned(), 0),
        ("after=2026-11-21T09:33:00Z".to_owned(), 3),
        (
            "action=call.create&before=2026-11-21T09:33:00Z".to_owned(),
            2,
        ),
    ] {
        let found = items(&app.client.get(&format!("{PATH}?{query}")).await);
        assert_eq!(found.len(), expected, "{query}: {found:?}");
    }
    for query in [
        "limit=0",
        "limit=1001",
        "after=yesterday",
        "before=x",
        "acton=x",
        "actor=a&actor=b",
    ] {
        let refused = app.client.get(&format!("{PATH}?{query}")).await;
        is_refused(&refused, 422, "VALIDATION_FAILED");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_everything_as_json_lines() {
    let app = TestApp::by_hand().await;
    // More than is read at once, of one instant, so that the place between two reads matters.
    let mut owner = app.database.as_owner().await;
    let made: Vec<uuid::Uuid> = sqlx::query_scalar(
        "INSERT INTO audit_entries (organization_id, id, at, actor, action, subject)
        SELECT $1, gen_random_uuid(), '2026-11-21T09:29:00Z', 'system:test', 'test.act', n::text
        FROM generate_series(1, 1203) n RETURNING id",
    )
    .bind(app.tenant.organization_id.0)
    .fetch_all(&mut owner)
    .await
    .expect("entries");
    assert_eq!(made.len(), 1203);

    let whole = export(&app, "?action=test.act").await;

    assert_eq!(whole.header("content-type"), Some("application/x-ndjson"));
    let entries: Vec<Value> = whole
        .text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON value a line"))
        .collect();
    let subjects: BTreeSet<&str> = of(&entries, "subject").into_iter().collect();
    assert_eq!((entries.len(), subjects.len()), (1203, 1203));
    assert!(whole.text.ends_with("}\n"));
    let nothing = export(&app, "?action=nothing").await;
    assert_eq!((nothing.status, nothing.text.as_str()), (200, ""));
    is_refused(&export(&app, "?limit=10").await, 422, "VALIDATION_FAILED");
    let page = items(
        &app.client
            .get(&format!("{PATH}?action=test.act&limit=1000"))
            .await,
    );
    assert_eq!(page, entries[..1000]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_shown_to_nobody_else() {
    let app = TestApp::by_hand().await;
    let call = app.place().await;
    let stranger = app.client.with_token(Some(&app.stranger.token));
    let theirs = stranger.get(PATH).await;
    assert!(
        !theirs.text.contains(&call) && !items(&theirs).is_empty(),
        "{}",
        theirs.text
    );
    let by_subject = stranger.get(&format!("{PATH}?subject={call}")).await;
    assert_eq!(items(&by_subject), Vec::<Value>::new());
    let scopes = [Scope::AuditRead];
    let only = Some(vec![app.tenant.agent_id]);
    for (token, code) in [
        (
            app.token(Environment::Live, &[Scope::CallsRead], None)
                .await,
            "SCOPE_MISSING",
        ),
        (
            app.token(Environment::Live, &scopes, only).await,
            "TOKEN_RESTRICTED",
        ),
        (
            app.token(Environment::Test, &scopes, None).await,
            "ENVIRONMENT_MISMATCH",
        ),
    ] {
        is_refused(
            &app.client.with_token(Some(&token)).get(PATH).await,
            403,
            code,
        );
    }
    app.stop().await;
}
