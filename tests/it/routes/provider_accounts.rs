//! `/api/v1/provider-accounts` and `/api/v1/phone-numbers`: where calls are carried.

use onhook::domain::token::{Environment, Scope};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Executor as _;
use strum::VariantArray as _;

use super::steps::is_refused;
use crate::support::{app::TestApp, client::Reply, wait::wait_for};

const PATH: &str = "/api/v1/provider-accounts";
const NUMBERS: &str = "/api/v1/phone-numbers";

/// Credentials in each provider's form, as the simulator knows them, with its account.
async fn register(app: &TestApp, provider: &str) -> (String, Value) {
    let external_id = match provider {
        "twilio" => "AC00112233445566778899aabbccddeeff",
        "telnyx" => "1234567890123456789",
        "vonage" => "0f0e0d0c-0b0a-4908-8706-050403020100",
        "sip" => "onhook",
        _ => "proj_00112233445566778899aabbccddeeff",
    };
    let secret = app.ambient.entropy.uuid().simple().to_string();
    let kind = provider.parse().expect("a provider");
    let body = json!({"provider": provider, "external_id": external_id, "secret": secret});
    let registered = app.sim.post("/_sim/accounts", &body).await;
    assert!(registered.status < 300, "{}", registered.text);
    let account = onhook::simulator::SimulatedAccount {
        provider: kind,
        external_id: external_id.to_owned(),
        secret,
        incoming_url: None,
    };
    (external_id.to_owned(), account.credentials())
}

fn base(app: &TestApp, provider: &str) -> String {
    format!("{}/{provider}", app.simulator.base_url())
}

async fn connect(app: &TestApp, provider: &str, external_id: &str, credentials: &Value) -> Reply {
    let body = json!({
        "provider": provider, "external_id": external_id, "credentials": credentials,
        "api_base_url": base(app, provider), "simulated": true,
    });
    app.client.post(PATH, &body).await
}

fn id(reply: &Reply) -> String {
    reply.json()["id"].as_str().expect("an id").to_owned()
}

/// What a column of the account holds.
async fn stored(app: &TestApp, id: &str) -> (Vec<u8>, bool) {
    let mut owner = app.database.as_owner().await;
    sqlx::query_as(
        "SELECT credentials_sealed, disconnected_at IS NOT NULL FROM provider_accounts WHERE id = $1::uuid",
    )
    .bind(id)
    .fetch_one(&mut owner)
    .await
    .expect("the account")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_each_provider_is_connected_once_its_credentials_hold() {
    let app = TestApp::by_hand().await;
    for provider in ["twilio", "telnyx", "vonage", "sip", "openai"] {
        let (external_id, credentials) = register(&app, provider).await;

        let reply = connect(&app, provider, &external_id, &credentials).await;

        assert_eq!(reply.status, 201, "{provider}: {}", reply.text);
        let shown = reply.json();
        assert_eq!(
            (
                &shown["provider"],
                &shown["external_id"],
                &shown["simulated"]
            ),
            (&json!(provider), &json!(external_id), &json!(true))
        );
        let id = id(&reply);
        let url = shown["callback_url"].as_str().expect("a URL");
        assert!(
            url.ends_with(&format!("/callbacks/{provider}/{id}")),
            "{url}"
        );
        let path = format!("{PATH}/{id}");
        let list = app.client.get(PATH).await;
        assert!(
            list.json()["items"]
                .as_array()
                .expect("items")
                .contains(&shown)
        );
        for secret in credentials.as_object().expect("an object").values() {
            // Some of them hold the account's name too.
            let long = |text: &&str| text.len() > 20 && *text != external_id;
            let Some(secret) = secret.as_str().filter(long) else {
                continue;
            };
            let read = app.client.get(&path).await;
            assert!(
                !read.text.contains(secret) && !list.text.contains(secret),
                "{provider}"
            );
            let (sealed, _) = stored(&app, &id).await;
            assert!(
                !String::from_utf8_lossy(&sealed).contains(secret),
                "{provider}"
            );
        }
        let again = connect(&app, provider, &external_id, &credentials).await;
        is_refused(&again, 409, "PROVIDER_ACCOUNT_EXISTS");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_do_not_hold_are_not_stored() {
    let app = TestApp::by_hand().await;
    let (external_id, credentials) = register(&app, "twilio").await;
    let wrong = json!({"auth_token": "00000000000000000000000000000000"});
    is_refused(
        &connect(&app, "twilio", &external_id, &wrong).await,
        502,
        "PROVIDER_ERROR",
    );
    let malformed = connect(&app, "twilio", &external_id, &json!({"token": "x"})).await;
    is_refused(&malformed, 422, "VALIDATION_FAILED");
    assert_eq!(malformed.json()["errors"][0]["pointer"], "/credentials");
    let body = json!({
        "provider": "twilio", "external_id": external_id, "credentials": credentials,
        "api_base_url": "http://127.0.0.1:2", "simulated": true,
    });
    is_refused(
        &app.client.post(PATH, &body).await,
        503,
        "PROVIDER_UNAVAILABLE",
    );
    let list = app.client.get(PATH).await;
    assert!(!list.text.contains(&external_id), "{}", list.text);

    let connected = connect(&app, "twilio", &external_id, &credentials).await;
    assert_eq!(connected.status, 201, "{}", connected.text);
    let before = stored(&app, &id(&connected)).await;
    let path = format!("{PATH}/{}/rotate", id(&connected));
    let refused = app.client.post(&path, &json!({"credentials": wrong})).await;
    is_refused(&refused, 502, "PROVIDER_ERROR");
    assert_eq!(stored(&app, &id(&connected)).await, before);
    app.advance(60);
    let rotated = app
        .client
        .post(&path, &json!({"credentials": credentials}))
        .await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    assert_eq!(rotated.json()["rotated_at"], "2026-11-21T09:31:00.000Z");
    assert_ne!(stored(&app, &id(&connected)).await, before);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_not_disconnected_while_calls_live_on_it_and_forgets_its_credentials_then() {
    let app = TestApp::by_hand().await;
    let path = format!("{PATH}/{}", app.tenant.account_id);
    let call = app.place_answered().await;
    is_refused(
        &app.client.delete(&path).await,
        409,
        "PROVIDER_ACCOUNT_IN_USE",
    );
    let end = app
        .client
        .post_nothing(&format!("/api/v1/calls/{call}/end"))
        .await;
    assert!(end.status < 300, "{}", end.text);
    app.wait_for_status(&call, "completed").await;

    assert_eq!(app.client.delete(&path).await.status, 204);

    is_refused(
        &app.client.get(&path).await,
        404,
        "PROVIDER_ACCOUNT_NOT_FOUND",
    );
    is_refused(
        &app.client.delete(&path).await,
        404,
        "PROVIDER_ACCOUNT_NOT_FOUND",
    );
    let account = app.tenant.account_id.to_string();
    assert_eq!(stored(&app, &account).await, (Vec::new(), true));
    let body = json!({"agent_id": app.tenant.agent_id, "to": "+15550101"});
    is_refused(
        &app.client.post("/api/v1/calls", &body).await,
        422,
        "VALIDATION_FAILED",
    );
    assert_eq!(app.call(&call).await["status"], "completed");

    let credentials = json!({"auth_token": app.tenant.auth_token});
    let again = connect(&app, "twilio", &app.tenant.account_sid, &credentials).await;
    assert_eq!((again.status, id(&again)), (201, account), "{}", again.text);
    assert_eq!(app.client.post("/api/v1/calls", &body).await.status, 201);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let app = TestApp::by_hand().await;
    let path = format!("{PATH}/{}/doctor", app.tenant.account_id);
    let statuses = |reply: &Reply| -> Vec<(String, String)> {
        assert_eq!(reply.status, 200, "{}", reply.text);
        let json = reply.json();
        let checks = json["checks"].as_array().expect("checks").iter();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        checks
            .map(|check| (text(&check["name"]), text(&check["status"])))
            .collect()
    };
    let of = |found: &[(String, String)], name: &str| {
        found
            .iter()
            .find(|(check, _)| check == name)
            .expect("a check")
            .1
            .clone()
    };
    let new = app.client.get(&path).await;
    assert_eq!(new.json()["healthy"], true, "{}", new.text);
    let found = statuses(&new);
    assert_eq!(
        (of(&found, "credentials"), of(&found, "callbacks")),
        ("ok".into(), "unknown".into())
    );
    // Nobody but a simulator reaches a node on loopback.
    assert_eq!(of(&found, "callback_url"), "warning");

    app.place_answered().await;
    app.node.worker.record_uses().await.expect("written");
    assert_eq!(
        of(&statuses(&app.client.get(&path).await), "callbacks"),
        "ok"
    );

    app.fault("list", 1, &json!({"respond": {"status": 401}}))
        .await;
    let refused = app.client.get(&path).await;
    assert_eq!(refused.json()["healthy"], false);
    assert_eq!(of(&statuses(&refused), "credentials"), "failed");
    let action = refused.json()["checks"][0]["action"]
        .as_str()
        .expect("an action")
        .to_owned();
    assert!(action.contains("rotate"), "{action}");
    let mut owner = app.database.as_owner().await;
    owner
        .execute("UPDATE phone_numbers SET agent_id = NULL")
        .await
        .expect("an update");
    assert_eq!(
        of(&statuses(&app.client.get(&path).await), "phone_numbers"),
        "warning"
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_token_reaches_simulated_accounts_and_test_calls_alone() {
    let app = TestApp::by_hand().await;
    let token = app.token(Environment::Test, Scope::VARIANTS, None).await;
    let test = app.client.with_token(Some(&token));
    let live_call = app.place_answered().await;
    let body = json!({"agent_id": app.tenant.agent_id, "to": "+15550101"});
    let placed = test.post("/api/v1/calls", &body).await;
    assert_eq!(placed.status, 201, "{}", placed.text);
    let test_call = id(&placed);

    let listed = test.get("/api/v1/calls").await;
    assert!(
        listed.text.contains(&test_call) && !listed.text.contains(&live_call),
        "{}",
        listed.text
    );
    assert_eq!(test.get("/api/v1/calls/count").await.json()["count"], 1);
    assert_eq!(test.get("/api/calls").await.json()["count"], 1);
    let path = format!("/api/v1/calls/{live_call}");
    is_refused(&test.get(&path).await, 404, "CALL_NOT_FOUND");
    is_refused(
        &test.post_nothing(&format!("{path}/end")).await,
        404,
        "CALL_NOT_FOUND",
    );
    is_refused(
        &test.get(&format!("{path}/events")).await,
        404,
        "CALL_NOT_FOUND",
    );
    assert_eq!(app.call(&live_call).await["status"], "in-progress");
    // Who is live sees both, and the test call is free.
    app.wait_for_status(&test_call, "in-progress").await;
    app.advance(120);
    let ended = test
        .post_nothing(&format!("/api/v1/calls/{test_call}/end"))
        .await;
    assert!(ended.status < 300, "{}", ended.text);
    app.wait_for_status(&test_call, "completed").await;
    let mut owner = app.database.as_owner().await;
    let bills: i64 =
        sqlx::query_scalar("SELECT count(*) FROM ledger_entries WHERE call_id = $1::uuid")
            .bind(&test_call)
            .fetch_one(&mut owner)
            .await
            .expect("a count");
    assert_eq!(bills, 0);

    let account = format!("{PATH}/{}", app.tenant.account_id);
    assert_eq!(test.get(&account).await.status, 200);
    owner
        .execute("UPDATE provider_accounts SET simulated = false")
        .await
        .expect("an update");
    is_refused(&test.get(&account).await, 404, "PROVIDER_ACCOUNT_NOT_FOUND");
    assert_eq!(test.get(NUMBERS).await.json()["items"], json!([]));
    let real =
        json!({"provider": "twilio", "external_id": "AC1", "credentials": {"auth_token": "x"}});
    let refused = test.post(PATH, &real).await;
    is_refused(&refused, 422, "VALIDATION_FAILED");
    assert_eq!(refused.json()["errors"][0]["pointer"], "/simulated");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_simulator_connects_no_simulated_account() {
    let app = TestApp::by_hand().await;
    let real = app
        .node_with(&[("ONHOOK_OUTBOUND_ALLOW_LOOPBACK", "false")])
        .await;
    let client = crate::support::client::TestClient::new(
        &format!("http://{}", real.address),
        Some(&app.tenant.token),
    );
    let body = |simulated: bool| {
        json!({
            "provider": "twilio", "external_id": "AC1", "credentials": {"auth_token": "x"},
            "api_base_url": "http://127.0.0.1:2", "simulated": simulated,
        })
    };
    for (simulated, pointer) in [(true, "/simulated"), (false, "/api_base_url")] {
        let refused = client.post(PATH, &body(simulated)).await;
        is_refused(&refused, 422, "VALIDATION_FAILED");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_assigned_for_either_direction_and_removed() {
    let app = TestApp::by_hand().await;
    let (agent, account) = (app.tenant.agent_id, app.tenant.account_id);
    app.advance(1);
    let body = json!({"number": "+15550177", "provider_account_id": account});
    let made = app.client.post(NUMBERS, &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let shown = made.json();
    assert_eq!(
        (&shown["agent_id"], &shown["inbound"], &shown["outbound"]),
        (&Value::Null, &json!(true), &json!(true))
    );
    is_refused(
        &app.client.post(NUMBERS, &body).await,
        409,
        "PHONE_NUMBER_EXISTS",
    );
    let path = format!("{NUMBERS}/{}", id(&made));
    let dial = || {
        let body = json!({"agent_id": agent, "to": "+15550101", "from": "+15550177"});
        let client = app.client.clone();
        async move { client.post("/api/v1/calls", &body).await.status }
    };
    let change_to = |change: Value| {
        let (client, path) = (app.client.clone(), path.clone());
        async move {
            client
                .send(Method::PATCH, &path, &[], &change.to_string())
                .await
        }
    };
    assert_eq!(dial().await, 201);

    let changed = change_to(json!({"agent_id": agent, "outbound": false})).await;

    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(
        (&changed.json()["agent_id"], &changed.json()["outbound"]),
        (&json!(agent), &json!(false))
    );
    assert_eq!(dial().await, 422);
    let agents = app
        .client
        .get(&format!("/api/v1/agents/{agent}"))
        .await
        .json();
    assert_eq!(agents["phone_numbers"], json!(["+15550100", "+15550177"]));
    assert_eq!(
        change_to(json!({"agent_id": null})).await.json()["agent_id"],
        Value::Null
    );
    let foreign = change_to(json!({"agent_id": app.stranger.agent_id})).await;
    is_refused(&foreign, 404, "AGENT_NOT_FOUND");
    assert_eq!(app.client.delete(&path).await.status, 204);
    is_refused(&app.client.get(&path).await, 404, "PHONE_NUMBER_NOT_FOUND");
    wait_for("no such number", dial, |status| *status == 422).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_some_agents_sees_their_numbers_and_no_account() {
    let app = TestApp::by_hand().await;
    let only = Some(vec![app.tenant.agent_id]);
    let token = app.token(Environment::Live, Scope::VARIANTS, only).await;
    let client = app.client.with_token(Some(&token));
    assert_eq!(client.get(PATH).await.json()["items"], json!([]));
    let numbers = client.get(NUMBERS).await.json();
    assert_eq!(numbers["items"][0]["number"], "+15550100");
    let path = format!("{PATH}/{}", app.tenant.account_id);
    is_refused(
        &client.delete(&path).await,
        404,
        "PROVIDER_ACCOUNT_NOT_FOUND",
    );
    let body =
        json!({"provider": "twilio", "external_id": "AC1", "credentials": {"auth_token": "x"}});
    is_refused(&client.post(PATH, &body).await, 403, "TOKEN_RESTRICTED");
    app.stop().await;
}
