//! Who may do what: every operation of the document against every kind of caller, as one table that
//! a reader can check. A new operation, or a new kind of caller, changes the table.

use std::fmt::Write as _;

use onhook::{
    app::organizations,
    domain::{
        agent::AgentSettings,
        token::{Environment, Scope, TokenText},
    },
};
use serde_json::{Value, json};
use sqlx::Executor as _;
use strum::VariantArray as _;

use crate::support::{
    app::TestApp,
    client::{Reply, TestClient},
    operations::{self, Names, Operation},
};

/// A kind of caller: a column of the table.
struct Caller {
    title: &'static str,
    shows: Shows,
}

/// What a caller shows for each operation.
enum Shows {
    Nothing,
    /// The same text in `Authorization`, whatever is asked for.
    Token(String),
    /// A token of the tenant with exactly the scopes that the operation asks for.
    ItsScope,
    /// A token of the tenant with every scope that the operation does not ask for.
    EveryOtherScope,
    /// A test token with every scope, while the tenant's account is a real one.
    TestTokenAtRealAccount(String),
}

/// Every kind of caller, those first that change nothing.
async fn callers(app: &TestApp) -> Vec<Caller> {
    let all = Scope::VARIANTS;
    let revoked = app.token(Environment::Live, all, None).await;
    let expired = app.token(Environment::Live, all, None).await;
    let mut owner = app.database.as_owner().await;
    for (token, end) in [
        (&revoked, "revoked_at = created_at"),
        (&expired, "expires_at = created_at"),
    ] {
        let statement = format!("UPDATE tokens SET {end} WHERE prefix = $1 RETURNING prefix");
        let dead: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
            .bind(token.get(..13))
            .fetch_all(&mut owner)
            .await
            .expect("an update");
        assert_eq!(dead.len(), 1);
    }
    // An agent of which the tenant has nothing.
    let founded = organizations::found(&app.app, "Other", &AgentSettings::default()).await;
    let elsewhere = founded.expect("founded").agent_id;
    let restricted = app
        .token(Environment::Live, all, Some(vec![elsewhere]))
        .await;
    let test = app.token(Environment::Test, all, None).await;
    let mut broken = app.tenant.token.clone();
    let last = broken.pop().expect("a token");
    broken.push(if last == 'x' { 'y' } else { 'x' });
    let unknown = TokenText::new(Environment::Live, [7; 32]);
    let caller = |title, shows| Caller { title, shows };
    let token = |title, token: String| caller(title, Shows::Token(token));
    vec![
        caller("nobody", Shows::Nothing),
        token("malformed", "ohk_live_short".to_owned()),
        token("broken checksum", broken),
        token("unknown", unknown.reveal().to_owned()),
        token("revoked", revoked),
        token("expired", expired),
        token("a stranger's", app.stranger.token.clone()),
        token("another agent's", restricted),
        caller("other scopes", Shows::EveryOtherScope),
        caller("its scope", Shows::ItsScope),
        caller("test, real account", Shows::TestTokenAtRealAccount(test)),
    ]
}

impl Caller {
    async fn token(&self, app: &TestApp, operation: &Operation) -> Option<String> {
        let scopes = match &self.shows {
            Shows::Nothing => return None,
            Shows::Token(token) | Shows::TestTokenAtRealAccount(token) => {
                return Some(token.clone());
            }
            Shows::ItsScope => of(operation, true),
            Shows::EveryOtherScope => of(operation, false),
        };
        Some(app.token(Environment::Live, &scopes, None).await)
    }

    /// Whether the caller does what the operation is for, so that each needs things of its own.
    fn acts(&self) -> bool {
        matches!(
            self.shows,
            Shows::ItsScope | Shows::TestTokenAtRealAccount(_)
        )
    }
}

/// The scopes that the operation asks for, or all others.
fn of(operation: &Operation, asked_for: bool) -> Vec<Scope> {
    let needed = operation.scopes.clone().unwrap_or_default();
    let mut scopes = Scope::VARIANTS.to_vec();
    scopes.retain(|scope| needed.contains(&scope.as_str().to_owned()) == asked_for);
    scopes
}

/// An answered call and a receiver of events, of the tenant's agent where the operation is about an
/// agent's.
async fn target(app: &TestApp, operation: &Operation) -> Names {
    let call = app.place_answered().await;
    let of_agent = operation.path.contains("/agents/");
    let agent = of_agent.then_some(app.tenant.agent_id);
    // Nobody listens there: some operations send to it at once.
    let body = json!({"url": "http://127.0.0.1:1/hooks", "agent_id": agent});
    let endpoint = app.client.post("/api/v1/webhook-endpoints", &body).await;
    let endpoint: Value = endpoint.json();
    Names {
        endpoint_id: endpoint["id"].as_str().expect("an id").to_owned(),
        ..Names::of(&app.client, &app.tenant, call).await
    }
}

/// Never with the operator's token: no token of an organisation stands for it.
async fn send(client: &TestClient, operation: &Operation, names: &Names) -> Reply {
    let mut headers: Vec<(&str, &str)> = operation.headers().into_iter().collect();
    headers.retain(|(name, _)| *name != "x-admin-token");
    let (path, body) = (operation.url_that_ends(names), operation.body(names));
    client
        .send(operation.method.clone(), &path, &headers, &body)
        .await
}

/// The answer as short as it can be read: its status, and why where the status leaves that open.
fn outcome(reply: &Reply) -> String {
    let status = reply.status;
    if status < 300 {
        return status.to_string();
    }
    let json: Value = reply.json();
    let says = ["detail", "error", "message"];
    let says = says.iter().find_map(|member| json[member].as_str());
    let says = says.unwrap_or_default();
    match (status, says) {
        (401, _) if says.starts_with("Send a valid API token") => "401".to_owned(),
        (401, "Send the admin token: X-Admin-Token") => "401 admin token".to_owned(),
        (403, "The signature does not match") => "403 signature".to_owned(),
        (403, _) => {
            let scope = says.strip_prefix("The token lacks the scope ");
            let scope = scope.and_then(|rest| rest.split(';').next());
            format!("403 {}", scope.unwrap_or(says))
        }
        (404, _) => "404".to_owned(),
        (422, _) if says.contains("must be a simulated account") => "422 not simulated".to_owned(),
        (_, _) => format!("{status} {}", json["code"].as_str().unwrap_or(says)),
    }
}

/// The table: a line for each operation, its cells as wide as its column.
fn table(titles: &[String], rows: &[(String, Vec<String>)]) -> String {
    let mut lines = vec![(String::new(), titles.to_vec())];
    lines.extend_from_slice(rows);
    let widest = |cells: &mut dyn Iterator<Item = usize>| cells.max().unwrap_or(0);
    let first = widest(&mut lines.iter().map(|(title, _)| title.len()));
    let widths: Vec<usize> = (0..titles.len())
        .map(|at| widest(&mut lines.iter().map(|(_, cells)| cells[at].len())))
        .collect();
    let mut text = String::from(
        "401: no valid token. 403: the token lacks that scope. 404: there is no such thing for \
         this caller. 2xx: done.\n\n",
    );
    for (title, cells) in lines {
        let mut line = format!("{title:<first$}");
        for (cell, width) in cells.iter().zip(&widths) {
            write!(line, " | {cell:<width$}").expect("a cell");
        }
        writeln!(text, "{}", line.trim_end()).expect("a line");
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_every_kind_of_caller_as_the_table_says() {
    let app = TestApp::by_hand().await;
    let operations = operations::documented();
    let callers = callers(&app).await;
    let mut rows: Vec<(String, Vec<String>)> = operations
        .iter()
        .map(|operation| (operation.title(), Vec::new()))
        .collect();
    let mut shared = Vec::new();
    for operation in &operations {
        shared.push(target(&app, operation).await);
    }
    for caller in &callers {
        let mut targets = Vec::new();
        for (operation, names) in operations.iter().zip(&shared) {
            targets.push(if caller.acts() {
                target(&app, operation).await
            } else {
                names.clone()
            });
        }
        if matches!(caller.shows, Shows::TestTokenAtRealAccount(_)) {
            let real = "UPDATE provider_accounts SET simulated = false";
            let mut owner = app.database.as_owner().await;
            owner.execute(real).await.expect("an update");
        }
        for ((operation, names), (title, cells)) in operations.iter().zip(&targets).zip(&mut rows) {
            let token = caller.token(&app, operation).await;
            let client = app.client.with_token(token.as_deref());
            let reply = send(&client, operation, names).await;
            // Nobody is behind the address of an account that is to be connected.
            let unheard = reply.text.contains("PROVIDER_UNAVAILABLE");
            assert!(reply.status < 500 || unheard, "{title}: {}", reply.text);
            cells.push(outcome(&reply));
        }
        let path = format!("/api/v1/agents/{}/publish", app.tenant.agent_id);
        assert_eq!(app.client.post_nothing(&path).await.status, 200);
        if !caller.acts() {
            // Whoever is refused has changed nothing of the tenant's.
            for names in &shared {
                let call = app.call(&names.call).await;
                assert_eq!(call["status"], "in-progress", "{}", caller.title);
                assert_eq!(call["end"], Value::Null, "{}", caller.title);
                assert_eq!(call["metadata"], json!({}), "{}", caller.title);
            }
        }
    }
    let titles: Vec<String> = callers
        .iter()
        .map(|caller| caller.title.to_owned())
        .collect();
    insta::assert_snapshot!("every_operation", table(&titles, &rows));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_stops_working_within_two_seconds() {
    let app = TestApp::by_hand().await;
    let token = app
        .token(Environment::Live, &[Scope::CallsRead], None)
        .await;
    let client = app.client.with_token(Some(&token));
    assert_eq!(client.get("/api/v1/calls").await.status, 200);
    let mut owner = app.database.as_owner().await;
    let revoke = "UPDATE tokens SET revoked_at = created_at WHERE name = 'test'";
    owner.execute(revoke).await.expect("an update");

    app.advance(2);

    assert_eq!(client.get("/api/v1/calls").await.status, 401);
    // Another token of the organisation goes on.
    assert_eq!(
        app.client.get("/api/v1/calls").await.json()["items"],
        json!([])
    );
    app.stop().await;
}
