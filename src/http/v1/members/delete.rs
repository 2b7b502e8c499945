//! `DELETE /api/v1/members/{person_id}`: removal, or leaving.

use axum::extract::State;

use crate::{
    app::{
        actor,
        members::{self, Wanted},
    },
    domain::{PersonId, Result, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::Incoming,
        v1::{finish, style::done_in_own_task},
    },
};

/// Remove a member
///
/// Who leaves needs no scope. It is in force everywhere within two seconds.
#[utoipa::path(
    delete, path = "/api/v1/members/{person_id}", tag = "Organizations", operation_id = "remove_member",
    security(("bearer" = ["members:write"])),
    params(("person_id" = String, Path, description = "The person's id")),
    responses(
        (status = 204, description = "Removed"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ROLE_TOO_LOW`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`MEMBER_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`LAST_OWNER`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn delete(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let identity = incoming.identify_member(state).await?;
    let id: Option<PersonId> = incoming.param("person_id").parse().ok();
    if id.is_none() || identity.caller.person_id() != id {
        actor::authorize(&identity.caller, Scope::MembersWrite)?;
    }
    let person_id = id.ok_or_else(members::not_found)?;
    let app = state.app.clone();
    done_in_own_task(state, "remove a member", async move {
        let role = None;
        let wanted = Wanted { person_id, role };
        members::change(&app, identity.by(), &identity.caller, wanted).await?;
        Ok(())
    })
    .await
}
