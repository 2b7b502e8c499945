//! `DELETE /api/v1/webhook-endpoints/{id}`.

use axum::extract::State;

use super::caller::{self, Caller};
use crate::{
    app::webhook_endpoints::{self, Place, not_found},
    domain::{Result, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::Incoming,
        v1::{finish, style::done_in_own_task},
    },
};

/// Delete a webhook endpoint
///
/// What was still to be delivered to it is given up.
#[utoipa::path(
    delete, path = "/api/v1/webhook-endpoints/{id}", tag = "Webhooks", operation_id = "delete_webhook_endpoint",
    security(("bearer" = ["webhooks:write"])),
    params(("id" = String, Path, description = "The endpoint's id")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`WEBHOOK_ENDPOINT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn delete(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::WebhooksWrite).await?;
    let caller = Caller(&identity);
    answer(state, caller, &caller.place(), incoming.param("id")).await
}

pub(in crate::http::v1) async fn answer(
    state: &HttpState,
    caller: Caller<'_>,
    place: &Place,
    id: &str,
) -> Result<Answer> {
    let id = caller::id(id)?;
    let (app, by_whom, place) = (state.app.clone(), caller.0.clone(), place.clone());
    done_in_own_task(state, "delete a webhook endpoint", async move {
        let deleted = webhook_endpoints::delete(&app, by_whom.by(), &place, id).await?;
        deleted.then_some(()).ok_or_else(not_found)
    })
    .await
}
