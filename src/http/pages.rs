//! Pages for people beside the generated documentation.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

/// What each error code means, where every problem's `type` leads.
pub(super) async fn error_codes() -> Response {
    let kind = "text/plain; charset=utf-8";
    (
        [(header::CONTENT_TYPE, kind)],
        include_str!("../../docs/error-codes.md"),
    )
        .into_response()
}
