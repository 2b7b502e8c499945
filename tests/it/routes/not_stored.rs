//! No cache keeps what the API answers, above all no token and no secret.

use std::collections::BTreeSet;

use onhook::domain::role::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    people,
    support::{
        app::TestApp,
        client::Reply,
        operations::{self, Names, Operation},
    },
};

/// The operations whose answer shows a token or a secret, and which member it is.
const SHOWN: [(&str, &str); 7] = [
    ("create_agent_webhook", "secret"),
    ("create_token", "token"),
    ("create_webhook_endpoint", "secret"),
    ("login", "refresh_token"),
    ("refresh", "refresh_token"),
    ("rotate_token", "token"),
    ("rotate_webhook_secret", "secret"),
];

fn assert_not_stored(of: &str, reply: &Reply) {
    let all: Vec<_> = reply.headers.get_all("cache-control").iter().collect();
    assert_eq!(all, ["no-store"], "{of}: {} {}", reply.status, reply.text);
}

fn is_shown(operation: &Operation) -> bool {
    SHOWN.iter().any(|(id, _)| *id == operation.id)
}

/// Sends what the operation is for, as the tenant where it takes a token.
async fn send(app: &TestApp, operation: &Operation, names: &Names, body: &str) -> Reply {
    let takes_token = operation.scopes.is_some() || operation.of_person;
    let client = app
        .client
        .with_token(takes_token.then_some(app.tenant.token.as_str()));
    let mut headers: Vec<(&str, &str)> = operation.headers().into_iter().collect();
    if operation.method == Method::POST && operation.scopes.is_some() {
        headers.push(("idempotency-key", operation.id.as_str()));
    }
    let url = operation.url_that_ends(names);
    client
        .send(operation.method.clone(), &url, &headers, body)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shows_a_token_or_a_secret_is_not_stored_nor_is_it_when_it_is_shown_again() {
    let app = TestApp::running().await;
    let email = "person@example.com";
    people::signed_in(&app, &app.tenant, email, Role::Owner).await;
    let login = json!({"email": email, "password": people::PASSWORD});
    let nobody = app.client.with_token(None);
    let session = nobody.post("/api/v1/auth/login", &login).await;
    let refresh_token = session.json()["refresh_token"].clone();
    let names = Names::of(&app.client, &app.tenant, app.place().await).await;
    let documented = operations::documented();
    for (id, member) in SHOWN {
        let operation = documented.iter().find(|operation| operation.id == id);
        let operation = operation.expect("an operation");
        let body = match id {
            "login" => login.to_string(),
            "refresh" => json!({"refresh_token": refresh_token}).to_string(),
            _ => operation.body(&names),
        };
        let reply = send(&app, operation, &names, &body).await;
        let shown = reply.json()[member].as_str().unwrap_or_default().to_owned();
        assert!(!shown.is_empty(), "{id}: {} {}", reply.status, reply.text);
        assert_not_stored(id, &reply);
        if operation.scopes.is_some() {
            let again = send(&app, operation, &names, &body).await;
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{id}");
            assert_eq!(again.json()[member], shown, "{id}");
            assert_not_stored(id, &again);
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_of_any_operation_is_stored() {
    let app = TestApp::running().await;
    let names = Names::of(&app.client, &app.tenant, app.place().await).await;
    for operation in operations::documented() {
        let body = operation.body(&names);
        let reply = send(&app, &operation, &names, &body).await;
        assert_not_stored(&operation.title(), &reply);
    }
    app.stop().await;
}

/// Whether a schema has a member that is a secret of ours, in itself or in what it refers to.
fn has_secret(document: &Value, schema: &Value) -> bool {
    let reference = schema["$ref"]
        .as_str()
        .and_then(|name| name.strip_prefix('#'));
    let schema = reference.map_or(schema, |pointer| document.pointer(pointer).expect("there"));
    let members = schema["properties"].as_object();
    members.is_some_and(|members| {
        SHOWN
            .iter()
            .any(|(_, secret)| members.contains_key(*secret))
    })
}

/// Who adds an operation that answers with a secret adds it to the list above.
#[test]
fn the_document_says_so_of_each_operation_that_makes_what_it_shows() {
    let document: Value = serde_json::from_str(operations::DOCUMENT).expect("JSON");
    let (mut said, mut making) = (BTreeSet::new(), BTreeSet::new());
    for operation in operations::documented() {
        let responses = operation.document["responses"].as_object();
        for (status, response) in responses.expect("responses") {
            if !status.starts_with('2') {
                continue;
            }
            if response["headers"]["Cache-Control"].is_object() {
                said.insert(operation.id.clone());
            }
            let schema = &response["content"]["application/json"]["schema"];
            // What is only read or changed shows the same thing without its secret.
            let makes = operation.method == Method::POST;
            if makes && has_secret(&document, schema) {
                making.insert(operation.id.clone());
            }
        }
        assert_eq!(
            said.contains(&operation.id),
            is_shown(&operation),
            "{}",
            operation.id
        );
    }
    assert_eq!(making, said);
}
