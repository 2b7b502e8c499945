//! Another tenant's things are things that do not exist: on every route of the document, the same
//! bytes and the same headers as for an id that is nobody's.

use onhook::domain::token::{Environment, Scope};
use serde_json::{Value, json};
use strum::VariantArray as _;

use crate::support::{
    app::{Tenant, TestApp},
    client::{Reply, TestClient},
    contents::contents,
    operations::{self, Names, Operation},
    twilio_callback::sign,
    wait::wait_for,
};

/// Ids of nobody's, in the forms and lengths of real ones.
fn nobody() -> Names {
    let id = |digit: u8| format!("{digit}f0e0d0c-0b0a-4908-8706-050403020100");
    Names {
        agent_id: id(1),
        call: id(2),
        endpoint_id: id(3),
        account_id: id(4),
        token_id: id(5),
        number_id: id(6),
        // The provider's names, which are nobody's ids here.
        account_sid: String::new(),
        auth_token: String::new(),
    }
}

async fn names(app: &TestApp, tenant: &Tenant) -> Names {
    let client = app.client.with_token(Some(&tenant.token));
    let body = json!({"agent_id": tenant.agent_id, "to": "+15550101"});
    let placed = client.post("/api/v1/calls", &body).await.json();
    let id = placed["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/calls/{id}?wait_for=answered&timeout=30");
    assert_eq!(client.get(&path).await.json()["status"], "in-progress");
    Names::of(&client, tenant, id).await
}

/// The ways to name things of somebody else: all of them at once, and each one among own ones.
fn mixtures(own: &Names, other: &Names) -> Vec<Names> {
    let mut mixtures = vec![Names {
        account_sid: own.account_sid.clone(),
        auth_token: own.auth_token.clone(),
        ..other.clone()
    }];
    let fields: [fn(&mut Names) -> &mut String; 6] = [
        |names| &mut names.agent_id,
        |names| &mut names.call,
        |names| &mut names.endpoint_id,
        |names| &mut names.account_id,
        |names| &mut names.token_id,
        |names| &mut names.number_id,
    ];
    for field in fields {
        let mut mixture = own.clone();
        *field(&mut mixture) = field(&mut other.clone()).clone();
        mixtures.push(mixture);
    }
    mixtures
}

/// Sends as the stranger: with a token, or where a signature takes its place, with that.
async fn send(
    client: &TestClient,
    operation: &Operation,
    names: &Names,
    stranger: &Tenant,
) -> Reply {
    let (path, mut body) = (operation.url(names), operation.body(names));
    let mut headers: Vec<(&str, &str)> = operation.headers().into_iter().collect();
    let mut signature = String::new();
    if operation.id.starts_with("provider_") {
        let form = [
            ("AccountSid", stranger.account_sid.as_str()),
            ("CallSid", "CA00000000000000000000000000000000"),
            ("CallStatus", "completed"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        body = serde_urlencoded::to_string(&form).expect("a form");
        signature = sign(&stranger.auth_token, &client.url(&path), &form);
    }
    if !signature.is_empty() {
        headers.push(("x-twilio-signature", &signature));
    }
    client
        .send(operation.method.clone(), &path, &headers, &body)
        .await
}

/// An answer without what differs between any two: the ids that were sent, the request's own id.
fn comparable(reply: &Reply, names: &Names) -> (u16, String, Vec<(String, String)>) {
    let mut text = reply.text.clone();
    for (name, what) in [
        (&names.agent_id, "{agent}"),
        (&names.call, "{call}"),
        (&names.endpoint_id, "{endpoint}"),
        (&names.account_id, "{account}"),
        (&names.token_id, "{token}"),
        (&names.number_id, "{number}"),
    ] {
        text = text.replace(name.as_str(), what);
    }
    // Within an event's id.
    text = text.replace(&names.call.replace('-', ""), "{call}");
    if let Some(request_id) = reply.header("x-request-id") {
        text = text.replace(request_id, "{request}");
    }
    // Where a list's stream goes on: how far all transactions of the database server have come by now.
    let cursor = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|body| body["stream_cursor"].as_str().map(str::to_owned));
    if let Some(cursor) = cursor {
        text = text.replace(&cursor, "{stream}");
    }
    let mut headers: Vec<(String, String)> = reply
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id" && *name != "date")
        .map(|(name, value)| (name.to_string(), format!("{value:?}")))
        .collect();
    headers.sort();
    (reply.status, text, headers)
}

/// Whether what is asked for depends on this name.
fn uses(operation: &Operation, own: &Names, mixture: &Names) -> bool {
    let asked = |names| (operation.url(names), operation.body(names));
    asked(own) != asked(mixture)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_every_route_anothers_id_is_an_unknown_id() {
    let app = TestApp::by_hand().await;
    let theirs = names(&app, &app.tenant).await;
    let own = names(&app, &app.stranger).await;
    let stranger = app.client.with_token(Some(&app.stranger.token));
    // Of the same organisation, but for an agent that has nothing.
    let nothing = Some(vec![app.stranger.agent_id]);
    let restricted = app.token(Environment::Live, Scope::VARIANTS, nothing).await;
    let restricted = app.client.with_token(Some(&restricted));
    let sid = wait_for(
        "the provider's id",
        || app.call(&theirs.call),
        |call| call["call_sid"] != json!(theirs.call),
    )
    .await;
    let by_sid = Names {
        call: sid["call_sid"].as_str().expect("a sid").to_owned(),
        ..theirs.clone()
    };
    let unknown = nobody();
    let unknown_sid = Names {
        call: "CA0f0e0d0c0b0a09080706050403020100".to_owned(),
        ..unknown.clone()
    };
    let before = contents(&app.database).await;

    let mut compared = 0;
    // The operator is no tenant: that route finds everybody's calls.
    let operations = operations::documented().into_iter();
    // Nor is a person: people looks at those.
    for operation in operations.filter(|operation| !operation.of_operator && !operation.of_person) {
        for (client, foreign, unknown) in [
            (&stranger, &theirs, &unknown),
            (&stranger, &by_sid, &unknown_sid),
            (&restricted, &theirs, &unknown),
            (&restricted, &by_sid, &unknown_sid),
        ] {
            let pairs = mixtures(&own, foreign)
                .into_iter()
                .zip(mixtures(&own, unknown));
            for (foreign, unknown) in pairs {
                if !uses(&operation, &own, &foreign) {
                    continue;
                }
                let of_foreign = send(client, &operation, &foreign, &app.stranger).await;
                let of_unknown = send(client, &operation, &unknown, &app.stranger).await;

                // Who cannot sign for an account is refused whether or not there is one.
                let refusals = match operation.id.as_str() {
                    "provider_callback" | "provider_account_callback" => &[403, 404][..],
                    _ => &[404],
                };
                let title = operation.title();
                assert!(
                    refusals.contains(&of_foreign.status),
                    "{title}: {}",
                    of_foreign.text
                );
                assert_eq!(
                    comparable(&of_foreign, &foreign),
                    comparable(&of_unknown, &unknown),
                    "{title} tells {foreign:?} from {unknown:?}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared >= 60, "{compared}");
    assert_eq!(contents(&app.database).await, before);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_in_bodies_and_queries_are_looked_for_among_ones_own() {
    let app = TestApp::by_hand().await;
    let unknown = nobody();
    let stranger = app.client.with_token(Some(&app.stranger.token));
    let (theirs, own) = (&app.tenant, &app.stranger);
    let call = names(&app, theirs).await.call;
    let create = |members: Value| {
        let mut body = json!({"agent_id": own.agent_id, "to": "+15550101"});
        let object = body.as_object_mut().expect("an object");
        object.extend(members.as_object().expect("members").clone());
        let client = stranger.clone();
        async move { client.post("/api/v1/calls", &body).await }
    };
    let endpoint = |agent: &str| {
        let body = json!({"url": "https://example.com", "agent_id": agent});
        let client = stranger.clone();
        async move { client.post("/api/v1/webhook-endpoints", &body).await }
    };
    let (agent, account) = (theirs.agent_id.to_string(), theirs.account_id.to_string());
    for (foreign, none, status) in [
        (
            create(json!({"agent_id": agent})).await,
            create(json!({"agent_id": unknown.agent_id})).await,
            404,
        ),
        (
            create(json!({"provider_account_id": account})).await,
            create(json!({"provider_account_id": unknown.account_id})).await,
            422,
        ),
        (
            endpoint(&agent).await,
            endpoint(&unknown.agent_id).await,
            404,
        ),
        (
            stranger
                .get(&format!("/api/v1/calls?agent_id={agent}"))
                .await,
            stranger
                .get(&format!("/api/v1/calls?agent_id={}", unknown.agent_id))
                .await,
            200,
        ),
        (
            stranger
                .get(&format!("/api/v1/calls/count?agent_id={agent}"))
                .await,
            stranger
                .get(&format!(
                    "/api/v1/calls/count?agent_id={}",
                    unknown.agent_id
                ))
                .await,
            200,
        ),
    ] {
        assert_eq!(foreign.status, status, "{}", foreign.text);
        assert_eq!(comparable(&foreign, &unknown), comparable(&none, &unknown));
    }
    // The numbers and the names of others are free to use.
    let reference = create(json!({"client_reference": "order-1001"})).await;
    assert_eq!(reference.status, 201, "{}", reference.text);
    let body = json!({"agent_id": agent, "to": "+15550101", "client_reference": "order-1001"});
    assert_eq!(app.client.post("/api/v1/calls", &body).await.status, 201);
    let list = stranger.get("/api/v1/calls").await.text;
    assert!(
        !list.contains(&call) && !list.contains(&theirs.organization_id.to_string()),
        "{list}"
    );
    app.stop().await;
}
