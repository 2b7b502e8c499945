//! `/api/v1/webhook-endpoints`: receivers of events.

use onhook::domain::token::{Environment, Scope};
use serde_json::{Value, json};
use sqlx::Executor as _;

use super::steps::{START, is_refused, telling};
use crate::support::app::TestApp;

const PATH: &str = "/api/v1/webhook-endpoints";

fn ids(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("items").iter();
    items
        .map(|item| item["id"].as_str().expect("an id"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_shows_its_secret_once_and_is_gone_when_deleted() {
    let app = TestApp::by_hand().await;
    app.advance(1);
    let body = json!({
        "url": "https://example.com/hooks?a=b",
        "events": ["event_phone_call_ended", "event_phone_call_billed"],
        "agent_id": app.tenant.agent_id,
        "timeout_seconds": 5,
        "description": "ours",
        "ordered": true,
        "headers": {"X-Gate": "let-me-in"},
    });

    let created = app.client.post(PATH, &body).await;

    assert_eq!(created.status, 201);
    let shown = created.json();
    let (id, secret) = (shown["id"].as_str(), shown["secret"].as_str());
    let (id, secret) = (id.expect("an id"), secret.expect("a secret"));
    let agent = app.tenant.agent_id;
    let at = "2026-11-21T09:30:01.000Z";
    let without_secret = format!(
        r#"{{"id":"{id}","url":"https://example.com/hooks?a=b","description":"ours","events":["event_phone_call_ended","event_phone_call_billed"],"agent_id":"{agent}","timeout_seconds":5,"ordered":true,"headers":["x-gate"],"enabled":true,"paused":false,"disabled_reason":null,"failing_since":null,"previous_secret_until":null,"created_at":"{at}""#
    );
    assert_eq!(
        created.text,
        format!(r#"{without_secret},"secret":"{secret}"}}"#)
    );
    assert!(
        secret.starts_with("whsec_") && secret.len() >= 38,
        "{secret}"
    );
    let first = app.tenant.endpoint_id.to_string();
    let list = app.client.get(PATH).await;
    assert_eq!(ids(&list.json()), [first.as_str(), id]);
    assert!(
        list.text.ends_with(&format!("{without_secret}}}]}}")),
        "{}",
        list.text
    );
    assert!(!list.text.contains("whsec_"));
    assert_eq!(list.json()["items"][0]["created_at"], START);

    let at = format!("{PATH}/{id}");
    let deleted = app.client.delete(&at).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    assert_eq!(deleted.header("content-type"), None);
    assert_eq!(ids(&app.client.get(PATH).await.json()), [first.as_str()]);
    let again = app.client.delete(&at).await;
    assert_eq!(
        (again.status, &again.json()["code"]),
        (404, &json!("WEBHOOK_ENDPOINT_NOT_FOUND"))
    );
    app.stop().await;
}

const URL: &str = "https://example.com/hooks";

/// URLs that are no receiver's, and why.
fn bad_urls() -> Vec<(Value, &'static str)> {
    let absolute = "must be an absolute URL, for example https://example.com/hooks";
    let visible = "must not contain white space or control characters";
    let https = "must be an https URL";
    vec![
        (json!(""), absolute),
        (json!("/hooks"), absolute),
        (json!("https://"), absolute),
        (json!("https://[::1"), absolute),
        (json!("ftp://example.com"), https),
        (json!("javascript:alert(1)"), https),
        (json!("file:///etc/passwd"), https),
        (
            json!("https://u:p@example.com"),
            "must not carry credentials",
        ),
        (json!("https://exam\nple.com/"), visible),
        (json!(" https://example.com/"), visible),
        (json!("https://example.com/\u{7f}"), visible),
        (json!("https://example.com/\u{202e}"), visible),
        (
            json!(format!("{URL}?{}", "x".repeat(2000))),
            "must be at most 2000 characters long",
        ),
        (json!(7), "invalid type: integer `7`, expected a string"),
        (json!(null), "invalid type: null, expected a string"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_an_endpoint_is_refused_by_its_place() {
    let app = TestApp::by_hand().await;
    let mut wrong: Vec<(Value, &str, &str)> = bad_urls()
        .into_iter()
        .map(|(url, message)| (json!({"url": url}), "/url", message))
        .collect();
    wrong.extend([
        (json!({}), "/url", "is required"),
        (
            json!({"url": URL, "events": ["event_phone_call_ended", "event_phone_call_end"]}),
            "/events/1",
            "is not an event type of ours; see the list of events in the documentation",
        ),
        (
            json!({"url": URL, "events": "event_phone_call_ended"}),
            "/events",
            "invalid type: string \"event_phone_call_ended\", expected a sequence",
        ),
        (
            json!({"url": URL, "timeout_seconds": 4}),
            "/timeout_seconds",
            "must be from 5 to 120",
        ),
        (
            json!({"url": URL, "timeout_seconds": 121}),
            "/timeout_seconds",
            "must be from 5 to 120",
        ),
        (
            json!({"url": URL, "enabled": false}),
            "/enabled",
            "is not a member of this request, which has: url, description, events, agent_id, timeout_seconds, ordered, headers",
        ),
    ]);
    for (body, pointer, message) in wrong {
        let refused = app.client.post(PATH, &body).await;
        is_refused(&refused, 422, "VALIDATION_FAILED");
        let error = refused.json()["errors"][0].clone();
        assert_eq!(
            (&error["pointer"], &error["message"]),
            (&json!(pointer), &json!(message)),
            "{body}"
        );
    }
    for agent in [
        app.stranger.agent_id.to_string(),
        "00000000-0000-4000-8000-000000000000".to_owned(),
    ] {
        let body = json!({"url": URL, "agent_id": agent});
        is_refused(&app.client.post(PATH, &body).await, 404, "AGENT_NOT_FOUND");
    }
    assert_eq!(ids(&app.client.get(PATH).await.json()).len(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_see_an_endpoint_cannot_tell_that_it_exists() {
    let app = TestApp::by_hand().await;
    let mut owner = app.database.as_owner().await;
    let colleague = "0a000000-0000-4000-8000-000000000001";
    let hire = "INSERT INTO agents (organization_id, id, name, settings, created_at, published_at)
        SELECT organization_id, '0a000000-0000-4000-8000-000000000001', 'Other', settings, created_at, published_at
        FROM agents";
    owner.execute(hire).await.expect("an agent for each");
    let agents = Some(vec![colleague.parse().expect("an id")]);
    let token = app
        .token(
            Environment::Live,
            &[Scope::WebhooksRead, Scope::WebhooksWrite],
            agents,
        )
        .await;
    let restricted = app.client.with_token(Some(&token));
    let stranger = app.client.with_token(Some(&app.stranger.token));

    // A restricted token makes, sees and deletes endpoints of its agents only.
    let refused = restricted.post(PATH, &json!({"url": URL})).await;
    assert_eq!(
        (refused.status, &refused.json()["errors"][0]["pointer"]),
        (422, &json!("/agent_id"))
    );
    let other_agent = json!({"url": URL, "agent_id": app.tenant.agent_id});
    assert_eq!(restricted.post(PATH, &other_agent).await.status, 404);
    let own = json!({"url": URL, "agent_id": colleague});
    let own = restricted.post(PATH, &own).await;
    assert_eq!(own.status, 201, "{}", own.text);
    let own = own.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(ids(&restricted.get(PATH).await.json()), [own.as_str()]);

    let unknown = stranger
        .delete(&format!("{PATH}/00000000-0000-4000-8000-000000000000"))
        .await;
    let theirs = app.tenant.endpoint_id.to_string();
    for (client, id) in [
        (&stranger, &theirs),
        (&stranger, &own),
        (&restricted, &theirs),
    ] {
        let refused = client.delete(&format!("{PATH}/{id}")).await;
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (404, &json!("WEBHOOK_ENDPOINT_NOT_FOUND"))
        );
        assert_eq!(telling(&refused.headers), telling(&unknown.headers));
    }
    assert_eq!(
        restricted.delete(&format!("{PATH}/{own}")).await.status,
        204
    );
    assert_eq!(ids(&app.client.get(PATH).await.json()), [theirs.as_str()]);
    app.stop().await;
}
