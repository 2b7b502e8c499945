//! Ending sessions, and forgetting what is over.

use super::{App, PersonByToken, Visitor, access};
use crate::{
    db,
    domain::{Error, ErrorCode, PersonId, Result, SessionId, secret_text::SecretText},
};

/// What is over is kept for so long, for whoever looks into a theft.
const KEPT: time::Duration = time::Duration::days(30);

/// Logs out. Safe to repeat: what is no session's is no error.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn log_out(app: &App, visitor: &Visitor, refresh: &SecretText) -> Result<()> {
    let digest = app.pepper.digest_secret(refresh);
    let ended = db::sessions::end_by_token(&app.db, &digest, app.ambient.now()).await?;
    if let Some((session_id, person_id)) = ended {
        forget(app, session_id, person_id).await;
        visitor.record(app, person_id, "session.end").await?;
    }
    Ok(())
}

/// Ends one of a person's own sessions; it is in force everywhere within two seconds.
///
/// # Errors
/// `SESSION_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
pub async fn revoke(
    app: &App,
    visitor: &Visitor,
    person: &PersonByToken,
    session_id: SessionId,
) -> Result<()> {
    let person_id = person.person_id;
    if !db::sessions::end(&app.db, person_id, session_id, app.ambient.now()).await? {
        return Err(not_found());
    }
    forget(app, session_id, person_id).await;
    visitor.record(app, person_id, "session.revoke").await
}

/// Ends what logins began by the password that was good until just now, but for the session `except`.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub(super) async fn end_begun_meanwhile(
    app: &App,
    person_id: PersonId,
    except: Option<SessionId>,
    reason: &'static str,
) -> Result<()> {
    let now = app.ambient.now();
    db::sessions::end_begun_meanwhile(&app.db, person_id, except, reason, now).await
}

/// The one answer to a session that there is not, or that is another person's.
pub fn not_found() -> Error {
    Error::new(
        ErrorCode::SessionNotFound,
        "You have no such session, or it is over",
    )
}

async fn forget(app: &App, session_id: SessionId, person_id: PersonId) {
    app.people
        .standings
        .invalidate(&(session_id, person_id))
        .await;
}

/// Forgets what is over and of no use any more: a round of the workers.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn forget_what_is_over(app: &App) -> Result<()> {
    let now = app.ambient.now();
    db::throttles::forget_spent(&app.db, now).await?;
    db::people::forget_links(&app.db, now.plus(-KEPT)).await?;
    db::sessions::forget_over(&app.db, now.plus(-KEPT)).await?;
    access::forget_old_keys(app).await?;
    Ok(())
}
