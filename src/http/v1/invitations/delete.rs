//! `DELETE /api/v1/invitations/{invitation_id}`.

use axum::extract::State;

use crate::{
    app::invitations,
    domain::{InvitationId, Result, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::Incoming,
        v1::{finish, style::done_in_own_task},
    },
};

/// Revoke an invitation
#[utoipa::path(
    delete, path = "/api/v1/invitations/{invitation_id}", tag = "Organizations", operation_id = "revoke_invitation",
    security(("bearer" = ["members:write"])),
    params(("invitation_id" = String, Path, description = "The invitation's id")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`INVITATION_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn delete(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::MembersWrite).await?;
    let id = incoming.param("invitation_id").parse();
    let id: InvitationId = id.map_err(|_| invitations::not_found())?;
    let app = state.app.clone();
    done_in_own_task(state, "revoke an invitation", async move {
        invitations::revoke(&app, identity.by(), id).await
    })
    .await
}
