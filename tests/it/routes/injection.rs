//! SQL, headers and markup in every string that can be sent, generated over the document: each is
//! kept as it is or refused, and does nothing else.

use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    client::TestClient,
    contents::contents,
    operations::{self, DOCUMENT, Names, Operation},
    raw::{self, RawReply},
};

const PAYLOADS: [&str; 9] = [
    "'; DROP TABLE calls; --",
    "' OR '1'='1",
    "$1); DELETE FROM organizations; --",
    "\\'; SELECT pg_sleep(60); --",
    "1; UPDATE tokens SET scopes = '{}'",
    "x\r\nSet-Cookie: injected=1\r\nX-Injected: 1",
    "x\n\n<html>",
    "</Say><Dial>+15550199</Dial>",
    "\u{560d}\u{560a}Set-Cookie: injected=1",
];

/// A request with a payload in one place.
struct Attempt {
    what: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

fn encoded(text: &str) -> String {
    let mut written = String::new();
    for byte in text.bytes() {
        use std::fmt::Write as _;
        write!(written, "%{byte:02X}").expect("text");
    }
    written
}

/// The members of the body's schema, by name.
fn members(operation: &Operation) -> Vec<String> {
    let document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
    let schema = &operation.document["requestBody"]["content"]["application/json"]["schema"];
    let reference = schema["$ref"].as_str().or_else(|| {
        let mut either = schema["oneOf"].as_array()?.iter();
        either.find_map(|schema| schema["$ref"].as_str())
    });
    let Some(reference) = reference else {
        return Vec::new();
    };
    let schema = document.pointer(reference.trim_start_matches('#'));
    let properties = schema.and_then(|schema| schema["properties"].as_object());
    let properties = properties.expect("a schema with members");
    properties.keys().cloned().collect()
}

/// One attempt for each string of the operation: in its path, its query, its headers, its body.
fn attempts(operation: &Operation, names: &Names, payload: &str) -> Vec<Attempt> {
    let good = |what: &str| Attempt {
        what: format!("{}: {payload:?} in {what}", operation.title()),
        target: operation.url(names),
        headers: operation
            .headers()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: operation.body(names),
    };
    let mut attempts = Vec::new();
    if operation.takes_id() {
        let mut attempt = good("the path");
        attempt.target = operation.url(&Names::all(&encoded(payload)));
        attempts.push(attempt);
    }
    let parameters = operation.document["parameters"].as_array();
    for parameter in parameters.into_iter().flatten() {
        let name = parameter["name"].as_str().expect("a name");
        match parameter["in"].as_str() {
            Some("query") => {
                let mut attempt = good(&format!("?{name}"));
                attempt.target = format!("{}?{name}={}", attempt.target, encoded(payload));
                attempts.push(attempt);
                let mut attempt = good("a query parameter's name");
                attempt.target = format!("{}?{}=1", attempt.target, encoded(payload));
                attempts.push(attempt);
            }
            // A line break ends a header: the rest is another one, which a client may send.
            Some("header") if !payload.contains(['\r', '\n']) => {
                let mut attempt = good(name);
                let value = payload.escape_default().to_string();
                attempt.headers.push((name.to_owned(), value));
                attempts.push(attempt);
            }
            _ => {}
        }
    }
    if operation.body_type.as_deref() == Some("application/json") {
        let body: Value = serde_json::from_str(&operation.body(names)).expect("JSON");
        for member in members(operation) {
            for value in [
                json!(payload),
                json!([payload]),
                json!({ payload: payload }),
            ] {
                let mut attempt = good(&member);
                let mut body = body.clone();
                body[&member] = value;
                attempt.body = body.to_string();
                attempts.push(attempt);
            }
        }
        let mut attempt = good("a member's name");
        let mut body = body;
        body[payload] = json!(1);
        attempt.body = body.to_string();
        attempts.push(attempt);
    } else if operation.body_type.is_some() {
        let mut attempt = good("the form");
        attempt.body = format!("CallSid={0}&CallStatus={0}&{0}=1", encoded(payload));
        attempts.push(attempt);
    }
    attempts
}

#[track_caller]
fn harmless(what: &str, reply: &RawReply) {
    assert!(
        reply.status < 500,
        "{what}: {} {}",
        reply.status,
        reply.body
    );
    for name in ["set-cookie", "x-injected"] {
        assert_eq!(reply.header(name), None, "{what}");
    }
    let kind = reply.header("content-type").unwrap_or_default();
    assert!(
        reply.body.is_empty() || kind.contains("json"),
        "{what}: {kind} {}",
        reply.body
    );
    if !reply.body.is_empty() {
        let json = serde_json::from_str::<Value>(&reply.body);
        assert!(json.is_ok(), "{what}: {}", reply.body);
    }
    // What was sent may be said back, as it was sent; nothing is told of the database.
    let mut said = reply.body.clone();
    for payload in PAYLOADS {
        let written = json!(payload).to_string();
        said = said.replace(written.trim_matches('"'), "");
        said = said.replace(payload, "");
    }
    for word in ["syntax error", "SQLSTATE", "pg_", "relation \"", "sqlx"] {
        assert!(!said.contains(word), "{what}: {}", reply.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_string_of_any_operation_is_read_as_anything_but_a_string() {
    let app = TestApp::by_hand().await;
    let stranger = app.client.with_token(Some(&app.stranger.token));
    let body = json!({"agent_id": app.stranger.agent_id, "to": "+15550101"});
    let theirs = stranger.post("/api/v1/calls", &body).await.json();
    let path = format!("/api/v1/calls/{}", theirs["id"].as_str().expect("an id"));
    let waited = stranger
        .get(&format!("{path}?wait_for=answered&timeout=30"))
        .await;
    assert_eq!(waited.json()["status"], "in-progress");
    let theirs = stranger.get(&path).await.text;
    let tables = contents(&app.database)
        .await
        .into_keys()
        .collect::<Vec<_>>();

    let mut targets = Vec::new();
    for operation in operations::documented() {
        let call = app.place().await;
        let names = Names::of(&app.client, &app.tenant, call).await;
        targets.push((operation, names));
    }
    let mut tried = 0;
    for (operation, names) in targets {
        for payload in PAYLOADS {
            for attempt in attempts(&operation, &names, payload) {
                let mut headers = attempt.headers.clone();
                let credentials = if operation.of_operator {
                    ("x-admin-token".to_owned(), ADMIN_TOKEN.to_owned())
                } else {
                    let token = format!("Bearer {}", app.tenant.token);
                    ("authorization".to_owned(), token)
                };
                headers.retain(|(name, _)| *name != credentials.0);
                headers.push(credentials);
                let headers: Vec<(&str, &str)> = headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect();
                let request = raw::request(
                    operation.method.as_str(),
                    attempt.target.as_bytes(),
                    &headers,
                    attempt.body.as_bytes(),
                );
                let reply = raw::exchange(app.node.address, &request).await;
                harmless(&attempt.what, &reply);
                tried += 1;
            }
        }
    }
    assert!(tried >= 700, "{tried}");

    assert_eq!(stranger.get(&path).await.text, theirs);
    let after = contents(&app.database)
        .await
        .into_keys()
        .collect::<Vec<_>>();
    assert_eq!(after, tables);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_is_kept_to_the_byte() {
    let app = TestApp::by_hand().await;
    for payload in PAYLOADS {
        let body = json!({
            "agent_id": app.tenant.agent_id, "to": "+15550101", "client_reference": payload,
            "metadata": {payload: payload},
        });
        let placed = app.client.post("/api/v1/calls", &body).await;
        assert_eq!(placed.status, 201, "{payload:?}: {}", placed.text);
        let id = placed.json()["id"].as_str().expect("an id").to_owned();
        let note = json!({"note": payload});
        let path = format!("/api/v1/calls/{id}/end");
        assert!(app.client.post(&path, &note).await.status < 300);
        let call = app.call(&id).await;
        assert_eq!(call["client_reference"], payload);
        assert_eq!(call["metadata"], json!({payload: payload}));
        let query = encoded(payload);
        let found = format!("/api/v1/calls?metadata[{query}]={query}");
        let found = app.client.get(&found).await.json();
        assert_eq!(found["items"][0]["id"], json!(id), "{payload:?}: {found}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_a_broken_checksum_costs_no_look_into_the_database() {
    let app = TestApp::by_hand().await;
    // A node whose database is not there.
    let (server, _) = app.database.url.rsplit_once('/').expect("a database");
    let nowhere = format!("{server}/nowhere");
    let node = app.node_with(&[("DATABASE_URL", &nowhere)]).await;
    let good = app.tenant.token.clone();
    let mut broken = good.clone();
    let last = broken.pop().expect("a token");
    broken.push(if last == 'x' { 'y' } else { 'x' });
    let status = |token: String| {
        let client = TestClient::new(&format!("http://{}", node.address), Some(&token));
        async move { client.get("/api/v1/calls").await.status }
    };
    assert_eq!(status(broken).await, 401);
    assert_eq!(status("ohk_live_short".to_owned()).await, 401);
    assert!(status(good).await >= 500);
    app.stop().await;
}
