//! Who may do what: every route of the document against tokens that are missing, dead, too weak, or
//! of the wrong world.

use std::fmt::Write as _;

use onhook::domain::token::{Environment, Scope};
use serde_json::{Value, json};
use sqlx::Executor as _;
use strum::VariantArray as _;

use crate::support::{
    app::TestApp,
    client::{Reply, TestClient},
    operations::{self, Names, Operation},
    wait::wait_for,
};

/// Never with the operator's token: no token of an organisation stands for it.
async fn send(client: &TestClient, operation: &Operation, names: &Names) -> Reply {
    let mut headers: Vec<(&str, &str)> = operation.headers().into_iter().collect();
    headers.retain(|(name, _)| *name != "x-admin-token");
    let (path, body) = (operation.url_that_ends(names), operation.body(names));
    client
        .send(operation.method.clone(), &path, &headers, &body)
        .await
}

/// The answer in a word: its status, and why where it is a refusal.
fn outcome(reply: &Reply) -> String {
    if reply.status < 300 {
        return reply.status.to_string();
    }
    let json: Value = reply.json();
    let code = json["code"].as_str().map(str::to_owned);
    let sentence = json["detail"].as_str().or_else(|| json["error"].as_str());
    let code = code.unwrap_or_else(|| match sentence {
        Some(detail) if detail.starts_with("Send a valid API token") => {
            "UNAUTHENTICATED".to_owned()
        }
        Some(detail) if detail.starts_with("The token lacks the scope") => {
            "SCOPE_MISSING".to_owned()
        }
        Some("The signature does not match") => "SIGNATURE".to_owned(),
        Some("Send the admin token: X-Admin-Token") => "ADMIN_TOKEN".to_owned(),
        _ => reply.text.clone(),
    });
    let scope = reply.text.split("lacks the scope ").nth(1);
    let scope = scope.and_then(|rest| rest.split(';').next());
    match scope {
        Some(scope) => format!("{} {code} {scope}", reply.status),
        None => format!("{} {code}", reply.status),
    }
}

/// An answered call and a webhook endpoint for each operation, and what goes with them.
async fn targets(app: &TestApp, operations: Vec<Operation>) -> Vec<(Operation, Names)> {
    let mut targets = Vec::new();
    for operation in operations {
        let of_agent = operation.path.contains("/agents/");
        let agent = of_agent.then_some(app.tenant.agent_id);
        let body = json!({"url": "http://127.0.0.1:1/hooks", "agent_id": agent});
        let endpoint = app.client.post("/api/v1/webhook-endpoints", &body).await;
        let endpoint_id = endpoint.json()["id"].as_str().expect("an id").to_owned();
        let names = Names {
            agent_id: app.tenant.agent_id.to_string(),
            call: app.place_answered().await,
            endpoint_id,
            account_id: app.tenant.account_id.to_string(),
        };
        targets.push((operation, names));
    }
    targets
}

/// All scopes but those that the operation asks for.
fn too_few(operation: &Operation) -> Vec<Scope> {
    let needed = operation.scopes.clone().unwrap_or_default();
    let mut others = Scope::VARIANTS.to_vec();
    others.retain(|scope| !needed.contains(&scope.as_str().to_owned()));
    others
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_for_a_living_token_with_its_scope() {
    let app = TestApp::by_hand().await;
    let dead = [
        app.token(Environment::Live, Scope::VARIANTS, None).await,
        app.token(Environment::Live, Scope::VARIANTS, None).await,
    ];
    let test = app.token(Environment::Test, Scope::VARIANTS, None).await;
    let mut owner = app.database.as_owner().await;
    for (token, end) in dead
        .iter()
        .zip(["revoked_at = created_at", "expires_at = created_at"])
    {
        let statement = format!("UPDATE tokens SET {end} WHERE prefix = $1 RETURNING prefix");
        let dead: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
            .bind(token.get(..13))
            .fetch_all(&mut owner)
            .await
            .expect("an update");
        assert_eq!(dead.len(), 1);
    }
    let mut table = String::new();
    let mut line = |cells: [&str; 6]| {
        let [operation, none, revoked, expired, weak, test] = cells;
        writeln!(
            table,
            "{operation:<55} | {none:<19} | {revoked:<19} | {expired:<19} | {weak:<36} | {test}"
        )
        .expect("a line");
    };
    line([
        "",
        "no token",
        "revoked",
        "expired",
        "every scope but its own",
        "test token, real account",
    ]);
    let targets = targets(&app, operations::documented()).await;
    let real = "UPDATE provider_accounts SET simulated = false";
    owner.execute(real).await.expect("an update");
    for (operation, names) in &targets {
        let weak = app
            .token(Environment::Live, &too_few(operation), None)
            .await;
        let mut cells = vec![operation.title()];
        for token in [
            None,
            Some(&dead[0]),
            Some(&dead[1]),
            Some(&weak),
            Some(&test),
        ] {
            let client = app.client.with_token(token.map(String::as_str));
            let reply = send(&client, operation, names).await;
            assert!(reply.status < 500, "{}: {}", operation.title(), reply.text);
            cells.push(outcome(&reply));
        }
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        line(cells.try_into().expect("six cells"));
    }
    insta::assert_snapshot!("every_route", table);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_stops_working_within_two_seconds() {
    let app = TestApp::running().await;
    let token = app
        .token(Environment::Live, &[Scope::CallsRead], None)
        .await;
    let client = app.client.with_token(Some(&token));
    assert_eq!(client.get("/api/v1/calls").await.status, 200);
    let mut owner = app.database.as_owner().await;
    let revoke = "UPDATE tokens SET revoked_at = now() WHERE name = 'test'";
    owner.execute(revoke).await.expect("an update");
    let revoked_at = tokio::time::Instant::now();

    let ask = || async { client.get("/api/v1/calls").await.status };
    wait_for("the refusal", ask, |status| *status == 401).await;

    let took = revoked_at.elapsed();
    assert!(took < std::time::Duration::from_secs(4), "{took:?}");
    // Another token of the organisation goes on.
    assert_eq!(
        app.client.get("/api/v1/calls").await.json()["items"],
        json!([])
    );
    app.stop().await;
}
