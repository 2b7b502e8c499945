//! The OpenAPI document is the routes', whole, and its pages need nobody else.

use std::collections::BTreeSet;

use onhook::domain::webhook::{
    envelope::{Envelope, read_event_id},
    event::EventType,
};
use serde_json::{Value, json};

use crate::support::{
    app::TestApp,
    operations::{self, ErrorStyle, Operation},
};

fn committed() -> Value {
    serde_json::from_str(operations::DOCUMENT).expect("JSON")
}

/// An answer to a provider is in the provider's own form, and a stream is one of messages.
fn form(operation: &Operation) -> &'static str {
    match operation.error_style() {
        ErrorStyle::Callback => "text/xml",
        _ if operation.id == "watch_events" => "text/event-stream",
        _ => "application/json",
    }
}

#[test]
fn the_committed_document_is_the_routes() {
    let written = onhook::http::openapi::document().expect("a document");
    assert!(
        written == operations::DOCUMENT,
        "write it anew: cargo run -- openapi > openapi/openapi.json"
    );
}

#[test]
fn every_operation_says_what_it_is_takes_and_answers() {
    let mut ids = BTreeSet::new();
    for operation in operations::documented() {
        let (title, document) = (operation.title(), &operation.document);
        assert!(
            ids.insert(operation.id.clone()),
            "{title}: its id is another's too"
        );
        let summary = document["summary"].as_str().unwrap_or_default();
        assert!(!summary.is_empty(), "{title} has no summary");
        assert_eq!(
            document["tags"].as_array().map(Vec::len),
            Some(1),
            "{title}"
        );
        let responses = document["responses"].as_object().expect("responses");
        let good = responses
            .iter()
            .filter(|(status, _)| status.starts_with('2'));
        for (status, response) in good {
            if status != "204" {
                let content = &response["content"][form(&operation)];
                let shown = content["schema"].is_object() || content["example"].is_object();
                assert!(shown, "{title} does not show its {status}");
            }
        }
        // A call is never deleted.
        let never = operation.id == "delete_call";
        let succeeds = responses.keys().any(|status| status.starts_with('2'));
        assert_ne!(succeeds, never, "{title}");
        for status in ["401", "403"] {
            let told = responses.contains_key(status);
            assert!(
                told || operation.scopes.is_none(),
                "{title} does not tell of {status}"
            );
        }
        assert!(
            operation
                .scopes
                .as_ref()
                .is_none_or(|scopes| scopes.len() == 1),
            "{title}"
        );
        let in_path = operation.path.matches('{').count();
        let parameters = document["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let named = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path");
        assert_eq!(named.count(), in_path, "{title}");
        for parameter in &parameters {
            let described = parameter["description"].as_str().unwrap_or_default();
            assert!(!described.is_empty(), "{title}: {}", parameter["name"]);
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = committed();
    let mut open = vec![&document];
    let mut followed = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.strip_prefix('#').expect("a reference within");
                    assert!(
                        document.pointer(pointer).is_some(),
                        "{reference} leads nowhere"
                    );
                    followed += 1;
                }
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    assert!(followed > 50, "{followed}");
    assert!(
        document["openapi"]
            .as_str()
            .expect("a version")
            .starts_with("3.1")
    );
    let bearer = &document["components"]["securitySchemes"]["bearer"];
    assert_eq!(
        (&bearer["type"], &bearer["scheme"]),
        (&"http".into(), &"bearer".into())
    );
}

/// The names of an object's members.
fn names(object: &Value) -> BTreeSet<&str> {
    let members = object.as_object().expect("an object");
    members.keys().map(String::as_str).collect()
}

#[test]
fn every_type_of_event_is_described_by_a_schema_and_an_example_that_fits_it() {
    let document = committed();
    let webhooks = &document["webhooks"];
    let types: BTreeSet<&str> = EventType::all().map(EventType::as_str).collect();
    assert_eq!(names(webhooks), types);
    for kind in types {
        let media = &webhooks[kind]["post"]["requestBody"]["content"]["application/json"];
        let (schema, example) = (&media["schema"], &media["example"]);
        assert_eq!(names(&schema["properties"]), names(example), "{kind}");
        assert_eq!(schema["properties"]["type"]["enum"], json!([kind]));
        let envelope: Envelope = serde_json::from_value(example.clone()).expect("an envelope");
        assert_eq!(envelope.kind.as_str(), kind);
        let key = read_event_id(&envelope.id).expect("an id of ours");
        assert_eq!(key.1, envelope.sequence, "{kind}");
        assert!(
            envelope.call_id.is_none_or(|call_id| call_id == key.0),
            "{kind}"
        );
        let data = &schema["properties"]["data"];
        assert_eq!(
            names(&data["properties"]),
            names(&example["data"]),
            "{kind}"
        );
        if data["properties"]["call"].is_object() {
            let call = &document["components"]["schemas"]["Call"]["properties"];
            assert_eq!(names(call), names(&example["data"]["call"]), "{kind}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_has_the_members_that_the_document_tells_of() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    app.advance(30);
    let ended = format!("/api/v1/calls/{id}/terminate");
    assert_eq!(app.client.post_nothing(&ended).await.status, 200);
    app.wait_for_status(&id, "completed").await;
    let test = format!("/api/v1/webhook-endpoints/{}/test", app.tenant.endpoint_id);
    assert_eq!(app.client.post(&test, &json!({})).await.status, 202);
    while app.node.worker.deliver_due().await.expect("a round") > 0 {}
    let document = committed();
    let arrived = app.receiver.received();
    assert_eq!(arrived.len(), 7);
    for event in arrived {
        let kind = event.kind.expect("a type");
        let example = &document["webhooks"][&kind]["post"]["requestBody"]["content"]["application/json"]
            ["example"];
        assert_eq!(names(&event.body), names(example), "{kind}");
        assert_eq!(
            names(&event.body["data"]),
            names(&example["data"]),
            "{kind}"
        );
        if example["data"]["call"].is_object() {
            let (sent, told) = (&event.body["data"]["call"], &example["data"]["call"]);
            assert_eq!(names(sent), names(told), "{kind}");
        }
    }
    app.stop().await;
}

/// The values of an attribute in a page.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!("{name}=\"");
    page.split(&start)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_show_the_document_and_come_from_this_server_alone() {
    let app = TestApp::by_hand().await;
    let nobody = app.client.with_token(None);
    for path in ["/api/v1/openapi.json", "/docs/openapi.json"] {
        let served = nobody.get(path).await;
        assert_eq!(served.status, 200, "{path}");
        assert_eq!(
            served.header("content-type"),
            Some("application/json"),
            "{path}"
        );
        assert_eq!(served.json(), committed(), "{path}");
    }

    let redirect = nobody.get("/docs").await;
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (303, Some("/docs/"))
    );
    let page = nobody.get("/docs/").await;
    assert_eq!(page.status, 200, "{}", page.text);
    let kind = page.header("content-type").expect("a type");
    assert!(kind.starts_with("text/html"), "{kind}");
    let mut assets: Vec<&str> = attributes(&page.text, "src");
    assets.extend(attributes(&page.text, "href"));
    assert!(assets.len() >= 3, "{}", page.text);
    assert!(!page.text.contains("://"), "{}", page.text);
    for asset in assets {
        assert!(!asset.starts_with("//") && !asset.contains(':'), "{asset}");
        let path = asset.trim_start_matches("./");
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/docs/{path}")
        };
        let served = nobody.get(&path).await;
        assert_eq!(served.status, 200, "{path}");
        assert!(!served.text.is_empty(), "{path}");
    }
    let start = nobody.get("/docs/swagger-initializer.js").await;
    assert!(start.text.contains("/docs/openapi.json"), "{}", start.text);
    assert!(!start.text.contains("://"), "{}", start.text);
    assert_eq!(nobody.get("/docs/nothing.js").await.status, 404);
    app.stop().await;
}
