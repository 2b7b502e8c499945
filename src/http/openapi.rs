//! The document's head, and the document itself.

use axum::http::StatusCode;
use utoipa::{
    Modify, OpenApi,
    openapi::RefOr,
    openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
};

use super::{answer::Answer, router, webhook_catalogue};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Onhook",
        description = "Places, lists, watches and ends phone calls at whichever provider carries them, and proves that they ended.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    modifiers(&Schemes),
    tags(
        (name = "Calls", description = "Place, list, watch and end calls"),
        (name = "Events", description = "What happened, as it happens"),
        (name = "Webhooks", description = "Receivers of events"),
        (name = "Notices", description = "Telegram chats and gateways that are told of calls"),
        (name = "Organizations", description = "Organisations, members, invitations"),
        (name = "People", description = "Accounts, logins, sessions"),
        (name = "Tokens", description = "What programs show, and what each may do"),
        (name = "Agents", description = "Who places and takes calls"),
        (name = "Provider accounts", description = "Where calls are carried, and the numbers there"),
        (name = "Audit", description = "Who did what"),
        (name = "Drop-in", description = "Routes that answer as other products' do"),
        (name = "Callbacks", description = "For providers"),
        (name = "Operations", description = "Health"),
    )
)]
pub(super) struct Document;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some(
            "An API token, `ohk_live_…` or `ohk_test_…`, or the access token of a person"
                .to_owned(),
        );
        let mut person = Http::new(HttpAuthScheme::Bearer);
        person.bearer_format = Some("JWT".to_owned());
        person.description = Some("The access token of a person, from a login".to_owned());
        if let Some(components) = &mut document.components {
            components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
            components.add_security_scheme("person", SecurityScheme::Http(person));
            let header = ApiKeyValue::with_description("X-Admin-Token", "The node's `ADMIN_TOKEN`");
            let admin = SecurityScheme::ApiKey(ApiKey::Header(header));
            components.add_security_scheme("admin", admin);
        }
    }
}

/// Adds what every operation with a token may answer, in its own style: 429, unless it
/// says itself when it does.
pub(super) fn with_limits(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            let of_token = operation.security.iter().flatten();
            let of_token = of_token.filter_map(|scheme| serde_json::to_value(scheme).ok());
            if !of_token
                .into_iter()
                .any(|scheme| scheme.get("bearer").is_some())
            {
                continue;
            }
            let Some(RefOr::T(refusal)) = operation.responses.responses.get("401") else {
                continue;
            };
            let mut refusal = refusal.clone();
            let id = operation.operation_id.as_deref().unwrap_or_default();
            let places = ["create_call", "agent_call", "session_call"].contains(&id);
            let description = if places {
                "`RATE_LIMITED`, or `CONCURRENCY_LIMIT`: too many calls live; after `Retry-After` seconds"
            } else {
                "`RATE_LIMITED`: after `Retry-After` seconds"
            };
            description.clone_into(&mut refusal.description);
            let responses = &mut operation.responses.responses;
            responses
                .entry("429".to_owned())
                .or_insert(RefOr::T(refusal));
        }
    }
    document
}

/// The OpenAPI 3.1 document, as JSON with a newline at its end.
///
/// # Errors
/// When it cannot be written, which a test would have seen.
pub fn document() -> Result<String, serde_json::Error> {
    let (_, document) = router::routes().split_for_parts();
    with_webhooks(document)?
        .to_pretty_json()
        .map(|json| json + "\n")
}

/// The document with every operation's limits and the events that we send.
///
/// # Errors
/// As [`document`].
pub(super) fn with_webhooks(
    document: utoipa::openapi::OpenApi,
) -> Result<utoipa::openapi::OpenApi, serde_json::Error> {
    let mut document = with_limits(document);
    document.webhooks = Some(webhook_catalogue::webhooks()?);
    Ok(document)
}

/// The OpenAPI document
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "Operations", operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub(super) async fn serve() -> Answer {
    match document() {
        Ok(json) => Answer::written_json(StatusCode::OK, json),
        // The test of the committed document writes it.
        Err(_) => Answer::empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}
