//! `Idempotency-Key` on routes whose operation is safe to repeat by itself; the dialling routes
//! write the key with the call instead (`app::calls::start`).

use std::future::Future;

use super::{
    HttpState,
    answer::Answer,
    extract::{Identity, Incoming},
};
use crate::{
    app::idempotency::{self, Key},
    db::admission::{self, Urgency},
    domain::{Error, Result, Timestamp, token::Environment},
};

/// The request's key, if it has one.
///
/// # Errors
/// `INVALID_REQUEST` when the header is malformed.
pub(super) fn key(
    incoming: &Incoming,
    identity: &Identity,
    route: &'static str,
    body: &[u8],
) -> Result<Option<Key>> {
    let Some(header) = incoming.headers.get("idempotency-key") else {
        return Ok(None);
    };
    let text = header.to_str().unwrap_or("\0");
    // Who may see less is not shown what somebody else was answered: a token that is restricted to
    // agents, a person with a role.
    let agents = identity.caller.agent_ids.as_deref().unwrap_or_default();
    let mut seen_by: Vec<u8> = agents.iter().flat_map(|id| *id.0.as_bytes()).collect();
    seen_by.extend(
        identity
            .caller
            .person_id()
            .iter()
            .flat_map(|id| id.0.as_bytes()),
    );
    if identity.caller.environment == Environment::Test {
        seen_by.push(1);
    }
    let request = [incoming.uri.path().as_bytes(), body, &seen_by];
    Key::new(route, text, identity.caller.token_id(), &request).map(Some)
}

/// The key of a request whose answer shows a secret, if it has one: nobody else is shown the answer.
///
/// # Errors
/// As [`key`].
pub(super) fn secret_key(
    incoming: &Incoming,
    identity: &Identity,
    route: &'static str,
    body: &[u8],
) -> Result<Option<Key>> {
    let whose = identity.actor.name();
    let mut own = Vec::with_capacity(body.len() + whose.len() + 1);
    own.extend_from_slice(whose.as_bytes());
    own.push(0);
    own.extend_from_slice(body);
    key(incoming, identity, route, &own)
}

/// The key of a request to end a call, if it has one.
///
/// # Errors
/// As [`key`].
pub(super) fn end_key(
    incoming: &Incoming,
    identity: &Identity,
    route: &'static str,
    body: &[u8],
) -> Result<Option<Key>> {
    Ok(key(incoming, identity, route, body)?.map(Key::of_end))
}

/// Answers from the key if it was used, else runs the operation and keeps its answer.
///
/// # Errors
/// `IDEMPOTENCY_KEY_REUSED`, `IDEMPOTENCY_IN_PROGRESS`, and the operation's own.
pub(super) async fn once(
    state: &HttpState,
    identity: &Identity,
    key: Option<Key>,
    operation: impl Future<Output = Result<Answer>>,
) -> Result<Answer> {
    once_since(state, identity, key, |_held_since| operation).await
}

/// As [`once`], in a task of its own: a client that goes away interrupts nothing.
///
/// # Errors
/// As [`once`].
pub(super) async fn carried_out(
    state: &HttpState,
    identity: &Identity,
    key: Option<Key>,
    doing: &'static str,
    operation: impl Future<Output = Result<Answer>> + Send + 'static,
) -> Result<Answer> {
    let (task_state, identity) = (state.clone(), identity.clone());
    let operation = Box::pin(operation);
    let task = state
        .app
        .ambient
        .tasks
        .spawn(admission::carried(async move {
            once(&task_state, &identity, key, operation).await
        }));
    task.await.map_err(|error| Error::internal(doing, error))?
}

/// As [`once`], for an operation that asks since when the key has been held: longer than this
/// request takes, when the first one with this key died with its node.
///
/// # Errors
/// As [`once`].
pub(super) async fn once_since<F: Future<Output = Result<Answer>>>(
    state: &HttpState,
    identity: &Identity,
    key: Option<Key>,
    operation: impl FnOnce(Option<Timestamp>) -> F,
) -> Result<Answer> {
    let Some(key) = key else {
        return operation(None).await;
    };
    if let Some(stored) = idempotency::replay(&state.app, identity.scope, &key).await? {
        return Ok(Answer::replayed(stored));
    }
    let held_since = idempotency::begin(&state.app, identity.scope, &key).await?;
    let answer = operation(Some(held_since)).await;
    let kept = match &answer {
        Ok(answer) => answer.stored(),
        // An error is not an answer to keep: the client may correct or repeat the request.
        Err(_) => Answer::empty(axum::http::StatusCode::INTERNAL_SERVER_ERROR).stored(),
    };
    // The operation is done: its answer is worth waiting for anew.
    let finished = idempotency::finish(&state.app, identity.scope, &key, &kept);
    admission::with(Urgency::Safety, finished).await?;
    answer
}
