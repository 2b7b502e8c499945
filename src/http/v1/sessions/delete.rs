//! `DELETE /api/v1/sessions/{session_id}`.

use axum::extract::State;

use crate::{
    app::people::sessions,
    domain::{Result, SessionId},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, PersonIdentity},
        v1::{finish, style::done_in_own_task},
    },
};

/// End one of your sessions
///
/// Its access tokens stop working within two seconds.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{session_id}", tag = "People", operation_id = "revoke_session",
    security(("person" = [])),
    params(("session_id" = String, Path, description = "The session's id")),
    responses(
        (status = 204, description = "Ended"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`SESSION_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn delete(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    let result = run(&state, &incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &Incoming) -> Result<Answer> {
    let PersonIdentity { person, visitor } = incoming.person(state).await?;
    let id = incoming.param("session_id").parse();
    let id: SessionId = id.map_err(|_| sessions::not_found())?;
    let app = state.app.clone();
    done_in_own_task(state, "end a session", async move {
        sessions::revoke(&app, &visitor, &person, id).await
    })
    .await
}
