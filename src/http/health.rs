//! Live, ready, and what operators scrape.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use super::{HttpState, answer::Answer};
use crate::db;

/// Is the process alive?
#[utoipa::path(
    get, path = "/healthz", tag = "Operations", operation_id = "healthz",
    responses((status = 200, description = "Alive", body = Object, example = json!({"status": "ok"})))
)]
pub(super) async fn live() -> Answer {
    Answer::json(StatusCode::OK, &json!({"status": "ok"}))
}

/// Can it take new calls?
///
/// `provider_accounts_refused` counts the accounts whose providers refuse our credentials, as this
/// node has seen it: no calls are placed through them. It does not make the node unready.
#[utoipa::path(
    get, path = "/readyz", tag = "Operations", operation_id = "readyz",
    responses(
        (status = 200, description = "Ready", body = Object, example = json!({"status": "ready", "database": "ok", "provider_accounts_refused": 0})),
        (status = 503, description = "Shutting down, or the database does not answer", body = Object, example = json!({"status": "draining", "database": "ok", "provider_accounts_refused": 0})),
    )
)]
pub(super) async fn ready(State(state): State<HttpState>) -> Answer {
    let database = if db::now(&state.app.db).await.is_ok() {
        "ok"
    } else {
        "unavailable"
    };
    let (status, word) = match (state.app.is_draining(), database) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, "ok") => (StatusCode::OK, "ready"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let refused = state.app.circuits.open_accounts().len();
    let body = json!({"status": word, "database": database, "provider_accounts_refused": refused});
    Answer::json(status, &body)
}

/// What only operators see, on a listener of its own.
pub fn operator_router(state: HttpState) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
        .with_state(state)
}

async fn metrics(State(state): State<HttpState>) -> Response {
    let db = &state.app.db;
    state.metrics.pools(&db.connections());
    let refused = state.app.circuits.open_accounts();
    let accounts = refused.iter().map(|(_, account)| account.to_string());
    state.metrics.refused_accounts(accounts);
    let now = state.app.ambient.now();
    // A queue that cannot be measured now keeps its last figure.
    if let Ok((open, oldest_due)) = db::jobs::lag(db, now).await {
        state.metrics.job_queue(open, oldest_due, now);
    }
    if let Ok((pending, oldest_due)) = db::webhook_deliveries::lag(db, now).await {
        state.metrics.delivery_queue(pending, oldest_due, now);
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], state.metrics.encode()).into_response()
}
