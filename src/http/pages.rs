//! Pages for people beside the generated documentation: the error codes, and where the links in mails
//! lead.

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

/// Where the links in mails lead. What they carry is in the fragment, which stays in the browser
/// until its owner presses the button; the page sends it to the API and to nobody else.
pub(super) async fn account() -> Response {
    let policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                  connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    (
        [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, policy),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-store"),
        ],
        include_str!("account.html"),
    )
        .into_response()
}
