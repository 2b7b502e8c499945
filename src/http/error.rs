//! From the domain's error to an HTTP answer: the only status table, and the canonical body.

use axum::http::StatusCode;
use serde::Serialize;

use super::answer::Answer;
use crate::domain::{Error, ErrorCode, error::FieldProblem};

/// The HTTP status of each code.
pub(super) fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidRequest | ErrorCode::CursorInvalid | ErrorCode::LinkInvalid => {
            StatusCode::BAD_REQUEST
        }
        ErrorCode::Unauthenticated | ErrorCode::LoginFailed => StatusCode::UNAUTHORIZED,
        ErrorCode::ScopeMissing
        | ErrorCode::AccountNotVerified
        | ErrorCode::RoleTooLow
        | ErrorCode::EnvironmentMismatch
        | ErrorCode::TokenRestricted
        | ErrorCode::GrantExceeded
        | ErrorCode::DestinationNotAllowed => StatusCode::FORBIDDEN,
        ErrorCode::RouteNotFound
        | ErrorCode::CallNotFound
        | ErrorCode::AgentNotFound
        | ErrorCode::ProviderAccountNotFound
        | ErrorCode::PhoneNumberNotFound
        | ErrorCode::NoticeNotFound
        | ErrorCode::WebhookEndpointNotFound
        | ErrorCode::WebhookDeliveryNotFound
        | ErrorCode::OrganizationNotFound
        | ErrorCode::MemberNotFound
        | ErrorCode::InvitationNotFound
        | ErrorCode::SessionNotFound
        | ErrorCode::TokenNotFound => StatusCode::NOT_FOUND,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::CallActive
        | ErrorCode::CallKept
        | ErrorCode::CallStatusMismatch
        | ErrorCode::AgentNotPublished
        | ErrorCode::WebhookEndpointDisabled
        | ErrorCode::DuplicateReference
        | ErrorCode::LastOwner
        | ErrorCode::MemberExists
        | ErrorCode::AccountExists
        | ErrorCode::AgentInUse
        | ErrorCode::ProviderAccountInUse
        | ErrorCode::ProviderAccountExists
        | ErrorCode::PhoneNumberExists
        | ErrorCode::TokenNotInForce
        | ErrorCode::IdempotencyInProgress => StatusCode::CONFLICT,
        ErrorCode::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::ValidationFailed | ErrorCode::IdempotencyKeyReused => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        ErrorCode::RateLimited | ErrorCode::ConcurrencyLimit => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::ProviderError => StatusCode::BAD_GATEWAY,
        ErrorCode::ProviderUnavailable
        | ErrorCode::Draining
        | ErrorCode::MailNotConfigured
        | ErrorCode::Overloaded
        | ErrorCode::DatabaseUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The error of every canonical route (RFC 9457).
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Problem {
    /// A page about this kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "/docs/errors#CALL_NOT_FOUND")]
    kind: String,
    #[schema(example = "Call not found")]
    title: String,
    #[schema(example = 404)]
    status: u16,
    /// What to do.
    detail: String,
    /// The request's path.
    instance: String,
    /// Stable: match on this.
    #[schema(example = "CALL_NOT_FOUND")]
    code: &'static str,
    request_id: String,
    /// One entry for each member that cannot be accepted.
    errors: Vec<FieldProblem>,
}

/// The canonical answer to a failed request, logged once when it is our fault.
pub(super) fn problem(error: &Error, request_id: &str, path: &str) -> Answer {
    log(error, request_id);
    let status = status(error.code);
    let body = Problem {
        kind: format!("/docs/errors#{}", error.code.as_str()),
        title: title(error.code),
        status: status.as_u16(),
        detail: error.detail.clone(),
        instance: path.to_owned(),
        code: error.code.as_str(),
        request_id: request_id.to_owned(),
        errors: error.problems.clone(),
    };
    Answer::problem(status, &body).retry_like(error)
}

/// Writes a fault of ours to the log, with its causes.
pub(super) fn log(error: &Error, request_id: &str) {
    if status(error.code).is_server_error() {
        let (code, causes) = (error.code.as_str(), error.causes());
        tracing::error!(request.id = request_id, error.code = code, %causes, "request failed");
    }
}

/// `CALL_NOT_FOUND` as "Call not found".
fn title(code: ErrorCode) -> String {
    let words = code.as_str().to_ascii_lowercase().replace('_', " ");
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + chars.as_str()
    })
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::*;

    #[test]
    fn the_documentation_lists_every_code_with_its_status_and_no_other() {
        const PAGE: &str = include_str!("../../docs/error-codes.md");
        let mut documented: Vec<&str> = PAGE
            .lines()
            .filter_map(|line| {
                let row = line.strip_prefix("| `")?;
                let (code, rest) = row.split_once("` | ")?;
                let (status, _) = rest.split_once(" |")?;
                let length = code.len() + "` | ".len() + status.len();
                status.parse::<u16>().is_ok().then(|| row.get(..length))?
            })
            .collect();
        documented.sort_unstable();
        let mut known: Vec<String> = ErrorCode::VARIANTS
            .iter()
            .map(|code| format!("{}` | {}", code.as_str(), status(*code).as_u16()))
            .collect();
        known.sort_unstable();
        assert_eq!(documented, known);
    }
}
