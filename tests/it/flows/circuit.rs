//! Accounts whose providers refuse our credentials: no call is placed through them, ends are tried on
//! slowly, and whom it concerns is told.

use serde_json::{Value, json};

use super::{books, provider_faults::set_secret};
use crate::support::{
    app::TestApp,
    client::{Reply, TestClient},
    wait::wait_for,
};
use onhook::db;

async fn terminate(app: &TestApp, id: &str) -> u16 {
    let path = format!("/api/v1/calls/{id}/terminate");
    app.client.post_nothing(&path).await.status
}

async fn create(app: &TestApp) -> Reply {
    let body = json!({"agent_id": app.tenant.agent_id, "to": "+15550101"});
    app.client.post("/api/v1/calls", &body).await
}

async fn outcomes(app: &TestApp, id: &str) -> Vec<String> {
    let attempts = books::hang_ups(app, id).await.into_iter();
    attempts.map(|attempt| attempt.outcome).collect()
}

/// What the audit log says of the tenant's account.
async fn audited(app: &TestApp) -> Vec<String> {
    let sql = "SELECT action FROM audit_entries
        WHERE organization_id = $1 AND subject = $2 AND actor = 'system:circuit' ORDER BY at";
    sqlx::query_scalar(sql)
        .bind(app.tenant.organization_id)
        .bind(app.tenant.account_id.to_string())
        .fetch_all(&mut app.database.as_owner().await)
        .await
        .unwrap()
}

/// How many accounts are refused, as anybody may know, and whether the operator's metrics name the
/// tenant's.
async fn shown(app: &TestApp) -> (Value, bool) {
    let ready = app.client.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert!(!ready.text.contains(&app.tenant.account_id.to_string()));
    let operator = TestClient::new(&format!("http://{}", app.node.operator_address), None);
    let metrics = operator.get("/metrics").await.text;
    let line = format!(
        "onhook_provider_account_refused{{account=\"{}\"}} 1",
        app.tenant.account_id
    );
    let refused = ready.json()["provider_accounts_refused"].clone();
    (refused, metrics.contains(&line))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_placed_through_a_refused_account_until_a_request_is_taken() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    assert_eq!(shown(&app).await, (json!(0), false));
    set_secret(&app, "another").await;
    assert_eq!(terminate(&app, &id).await, 500);

    let refused = create(&app).await;
    assert_eq!(refused.status, 502, "{}", refused.text);
    assert_eq!(refused.json()["code"], "PROVIDER_ERROR");
    assert_eq!(refused.header("retry-after"), Some("30"));
    let calls = app.client.get("/api/v1/calls").await.json();
    assert_eq!(
        calls["items"].as_array().unwrap().len(),
        1,
        "none was recorded"
    );
    assert_eq!(audited(&app).await, ["provider_account.refused"]);
    assert_eq!(shown(&app).await, (json!(1), true));

    // The wish is tried on; that it failed is said once.
    app.advance(30);
    assert_eq!(app.node.worker.run_due().await.unwrap(), 1);
    assert_eq!(outcomes(&app, &id).await, ["refused", "refused"]);
    let story = books::story(&app, &id).await;
    assert_eq!(story.iter().filter(|fact| *fact == "error").count(), 1);
    assert_eq!(app.call(&id).await["end"]["state"], "failed");

    set_secret(&app, &app.tenant.auth_token).await;
    app.advance(30);
    assert_eq!(app.node.worker.run_due().await.unwrap(), 1);
    assert_eq!(app.call(&id).await["status"], "completed");
    books::assert_ended_once(&app, &id).await;
    let both = ["provider_account.refused", "provider_account.accepted"];
    assert_eq!(audited(&app).await, both);
    assert_eq!(shown(&app).await, (json!(0), false));
    assert_eq!(create(&app).await.status, 201);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_at_a_refused_account_are_tried_one_in_thirty_seconds_and_none_is_given_up() {
    let app = TestApp::by_hand().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(app.place_answered().await);
    }
    set_secret(&app, "another").await;
    for id in &ids {
        // Somebody waits for the answer: it is asked at once.
        assert_eq!(terminate(&app, id).await, 500);
    }
    let tried = || async {
        let mut tried = 0;
        for id in &ids {
            tried += books::hang_ups(&app, id).await.len();
        }
        tried
    };
    assert_eq!(tried().await, 5);
    for round in 1..=3 {
        app.advance(31);
        app.node.worker.run_due().await.unwrap();
        assert_eq!(tried().await, 5 + round);
        app.node.worker.run_due().await.unwrap();
        assert_eq!(tried().await, 5 + round);
    }
    set_secret(&app, &app.tenant.auth_token).await;
    app.advance(31);
    app.node.worker.run_due().await.unwrap();
    app.advance(31);
    app.node.worker.run_due().await.unwrap();
    for id in &ids {
        assert_eq!(app.call(id).await["status"], "completed");
        books::assert_ended_once(&app, id).await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_account_is_asked_for_one_dial_in_thirty_seconds() {
    let app = TestApp::by_hand().await;
    set_secret(&app, "another").await;
    let first = create(&app).await;
    assert_eq!(first.status, 201);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let call = app.wait_for_status(&id, "failed").await;
    assert_eq!(call["ended_reason"], "provider_rejected");
    assert_eq!(create(&app).await.status, 502);

    set_secret(&app, &app.tenant.auth_token).await;
    assert_eq!(create(&app).await.status, 502);
    app.advance(30);
    let placed = create(&app).await;
    assert_eq!(placed.status, 201);
    let id = placed.json()["id"].as_str().unwrap().to_owned();
    app.wait_for_status(&id, "in-progress").await;
    assert_eq!(create(&app).await.status, 201);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_credentials_close_the_circuit_before_any_try() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    set_secret(&app, "another").await;
    assert_eq!(terminate(&app, &id).await, 500);
    assert_eq!(create(&app).await.status, 502);

    set_secret(&app, &app.tenant.auth_token).await;
    // The account is told apart by its host as well as by its secret.
    let (scope, account) = (app.tenant.scope, app.tenant.account_id);
    let host = format!("{}/twilio/", app.simulator.base_url());
    db::provider_accounts::set_api_base_url(&app.app.db, scope, account, &host)
        .await
        .unwrap();

    // An account is remembered for five seconds.
    let placed = |status: &u16| *status == 201;
    let status = || async { create(&app).await.status };
    wait_for("calls to be placed again", status, placed).await;
    let both = ["provider_account.refused", "provider_account.accepted"];
    assert_eq!(audited(&app).await, both);
    app.stop().await;
}
