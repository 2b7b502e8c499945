//! `GET /api/v1/calls/{id}/why`: why a call ended, with the evidence.

use axum::{extract::State, http::StatusCode};

use super::visible;
use crate::{
    db,
    domain::{
        Result,
        call::{self, Why},
        token::Scope,
    },
    http::{HttpState, answer::Answer, error::Problem, extract::Incoming, v1::finish},
};

const MARKDOWN: &str = "text/markdown; charset=utf-8";

/// Explain why a call ended
///
/// Who asked, by which rule, what the provider answered to each request to hang up, what showed that
/// the call is over, and how long each step took, in the order in which it was recorded. Of a live
/// call: what is known so far. With `Accept: text/markdown` as a document for people.
#[utoipa::path(
    get, path = "/api/v1/calls/{id}/why", tag = "Calls", operation_id = "get_call_why",
    security(("bearer" = ["calls:read"])),
    params(
        ("id" = String, Path, description = "Our id or the provider's"),
        ("Accept" = Option<String>, Header, description = "`text/markdown` for a document", example = "application/json"),
    ),
    responses(
        (status = 200, description = "The story", content((Why<'static> = "application/json"), (String = "text/markdown"))),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`CALL_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn why(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::CallsRead).await?;
    let call = visible(state, &identity, incoming.param("id")).await?;
    let evidence = db::calls::evidence(&state.app.db, identity.scope, &call).await?;
    let why = call::why(&call, evidence);
    if wants_markdown(incoming.header("accept")) {
        return Ok(Answer::text(StatusCode::OK, MARKDOWN, why.markdown()));
    }
    Ok(Answer::json(StatusCode::OK, &why))
}

/// Whether Markdown is asked for and JSON is not preferred: whichever is named first.
fn wants_markdown(accept: Option<&str>) -> bool {
    let kinds = accept.unwrap_or_default().split(',');
    let mut kinds = kinds.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    let known = ["text/markdown", "application/json"];
    let first = kinds.find(|kind| known.iter().any(|known| kind.eq_ignore_ascii_case(known)));
    first.is_some_and(|kind| kind.eq_ignore_ascii_case("text/markdown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_is_answered_to_those_who_name_it_first() {
        for (accept, markdown) in [
            (None, false),
            (Some("*/*"), false),
            (Some("text/markdown"), true),
            (Some("Text/Markdown; q=0.9, */*"), true),
            (Some("application/json, text/markdown"), false),
            (Some("text/html, text/markdown, application/json"), true),
        ] {
            assert_eq!(wants_markdown(accept), markdown, "{accept:?}");
        }
    }
}
