//! `POST /api/v1/calls`: places a call.

use onhook::domain::token::{Environment, Scope};
use serde_json::{Value, json};

use super::steps::{START, dialled, nobody_acts, sid};
use crate::support::{
    app::{Tenant, TestApp},
    wait::wait_for,
};

async fn refused(app: &TestApp, change: Value, status: u16) -> Value {
    let mut body = json!({"agent_id": app.tenant.agent_id, "to": "+15550101"});
    let members = body.as_object_mut().expect("an object");
    members.extend(change.as_object().expect("an object").clone());
    let reply = app.client.post("/api/v1/calls", &body).await;
    assert_eq!(reply.status, status, "{change}: {}", reply.text);
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json")
    );
    reply.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_recorded_and_shown_whole_before_it_is_dialled() {
    let app = TestApp::by_hand().await;
    nobody_acts(&app).await;
    let body = json!({
        "agent_id": app.tenant.agent_id,
        "to": "+15550101",
        "from": "+15550100",
        "provider_account_id": app.tenant.account_id,
        "metadata": {"order": "1001"},
        "limits": {"max_duration_seconds": 90, "ring_timeout_seconds": 20},
        "client_reference": "order-1001",
    });

    let reply = app.client.post("/api/v1/calls", &body).await;

    assert_eq!(reply.status, 201);
    let id = reply.json()["id"].as_str().expect("an id").to_owned();
    let at = format!("/api/v1/calls/{id}");
    assert_eq!(reply.header("location"), Some(at.as_str()));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let (organization, agent) = (app.tenant.organization_id, app.tenant.agent_id);
    let account = app.tenant.account_id;
    assert_eq!(
        reply.text,
        format!(
            r#"{{"id":"{id}","call_sid":"{id}","organization_id":"{organization}","agent_id":"{agent}","status":"initiating","direction":"outbound","from":"+15550100","to":"+15550101","provider":"twilio","provider_account_id":"{account}","client_reference":"order-1001","metadata":{{"order":"1001"}},"created_at":"{START}","ringing_at":null,"answered_at":null,"ended_at":null,"duration_seconds":null,"ended_reason":null,"limits":{{"max_duration_seconds":90,"ring_timeout_seconds":20}},"end":null,"cost":null,"last_sequence":1}}"#
        )
    );
    // The same call, by our name and by the provider's.
    let provider_id = sid(&app, &id).await;
    let mut expected = reply.json();
    expected["call_sid"] = json!(provider_id);
    for name in [&id, &provider_id] {
        let call = app.client.get(&format!("/api/v1/calls/{name}")).await;
        assert_eq!(call.json(), expected);
    }

    // The same reference never dials twice, also when the first call is over.
    for _ in 0..2 {
        let problem = refused(&app, json!({"client_reference": "order-1001"}), 409).await;
        assert_eq!(problem["code"], "DUPLICATE_REFERENCE");
        let ended = app.client.post_nothing(&format!("{at}/end")).await;
        assert_eq!(ended.status, 200, "{}", ended.text);
    }
    assert_eq!(dialled(&app).await, 1);
    app.stop().await;
}

/// Members that are wrong, where that is said, and what.
fn wrong_members(stranger: &Tenant) -> Vec<(Value, &'static str, &'static str)> {
    vec![
        (
            json!({"metdata": {}}),
            "/metdata",
            "is not a member of this request; did you mean metadata?",
        ),
        (
            json!({"zzzzzzzz": 1}),
            "/zzzzzzzz",
            "is not a member of this request, which has: agent_id, to, from, provider_account_id, metadata, limits, delay_seconds, client_reference",
        ),
        (
            json!({"limits": {"max_duration": 5}}),
            "/limits/max_duration",
            "unknown field `max_duration`, expected `max_duration_seconds` or `ring_timeout_seconds`",
        ),
        (
            json!({"limits": {"max_duration_seconds": 0}}),
            "/limits/max_duration_seconds",
            "must be from 1 to 86400",
        ),
        (
            json!({"limits": {"ring_timeout_seconds": 4}}),
            "/limits/ring_timeout_seconds",
            "must be from 5 to 600",
        ),
        (
            json!({"limits": [90, 20]}),
            "/limits",
            "invalid type: sequence, expected an object",
        ),
        (
            json!({"delay_seconds": 604_801}),
            "/delay_seconds",
            "must be from 0 to 604800",
        ),
        (
            json!({"client_reference": ""}),
            "/client_reference",
            "must be 1 to 255 characters long",
        ),
        (
            json!({"client_reference": "ä".repeat(256)}),
            "/client_reference",
            "must be 1 to 255 characters long",
        ),
        (
            json!({"metadata": {"x": "y".repeat(65_536)}}),
            "/metadata",
            "must be at most 64 KiB as JSON",
        ),
        (
            json!({"metadata": []}),
            "/metadata",
            "invalid type: sequence, expected a map",
        ),
        (
            json!({"from": "+15559999"}),
            "/from",
            "must be a number of your organisation on the account to dial through; or assign a number to the agent",
        ),
        (
            json!({"provider_account_id": stranger.account_id}),
            "/from",
            "must be a number of your organisation on the account to dial through; or assign a number to the agent",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_call_to_place_is_named_by_its_place() {
    let app = TestApp::by_hand().await;
    for (change, pointer, message) in wrong_members(&app.stranger) {
        let problem = refused(&app, change.clone(), 422).await;

        assert_eq!(problem["code"], "VALIDATION_FAILED");
        let errors = problem["errors"].as_array().expect("errors");
        assert_eq!(errors.len(), 1, "{problem}");
        assert_eq!(
            (&errors[0]["pointer"], &errors[0]["message"]),
            (&json!(pointer), &json!(message)),
            "{change}"
        );
        assert_eq!(problem["detail"], format!("{pointer} {message}"));
    }
    for (change, status, code) in [
        (
            json!({"agent_id": app.stranger.agent_id}),
            404,
            "AGENT_NOT_FOUND",
        ),
        (json!({"agent_id": "agent-uuid"}), 422, "VALIDATION_FAILED"),
    ] {
        let problem = refused(&app, change, status).await;
        assert_eq!(problem["code"], code);
    }
    assert_eq!(dialled(&app).await, 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_token_reaches_simulated_accounts_only_and_drain_refuses_dials_only() {
    let app = TestApp::by_hand().await;
    nobody_acts(&app).await;
    let scopes = [Scope::CallsCreate, Scope::CallsRead, Scope::CallsEnd];
    let token = app.token(Environment::Test, &scopes, None).await;
    let test = app.client.with_token(Some(&token));
    let body = json!({"agent_id": app.tenant.agent_id, "to": "+15550101"});
    assert_eq!(test.post("/api/v1/calls", &body).await.status, 201);

    let live = app.place().await;
    app.app.drain();
    let refused = app.client.post("/api/v1/calls", &body).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["code"], "DRAINING");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let path = format!("/api/v1/agents/{}/call", app.tenant.agent_id);
    let refused = app.client.post(&path, &body).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (503, &json!("DRAINING"))
    );
    sid(&app, &live).await;
    let ended = app
        .client
        .post_nothing(&format!("/api/v1/calls/{live}/terminate"))
        .await;
    assert_eq!(ended.status, 200, "{}", ended.text);
    wait_for("both dials", || dialled(&app), |dialled| *dialled == 2).await;
    app.stop().await;
}
