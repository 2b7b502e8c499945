//! From a database's refusal to an error that a client understands.

use sqlx::error::ErrorKind;

use super::unavailable;
use crate::domain::{Error, ErrorCode};

/// Names of constraints whose violation is the client's doing, and what it is told.
const TABLE: [(&str, ErrorCode, &str); 4] = [
    (
        "calls_client_reference",
        ErrorCode::DuplicateReference,
        "A call with this client_reference exists; read it instead of placing another one",
    ),
    (
        "calls_once_at_its_provider",
        ErrorCode::DuplicateReference,
        "This call of the provider is known already",
    ),
    (
        "phone_numbers_organization_id_number_key",
        ErrorCode::PhoneNumberExists,
        "Your organisation has this number already; change that one",
    ),
    (
        "idempotency_keys_pkey",
        ErrorCode::IdempotencyInProgress,
        "A request with this Idempotency-Key is being carried out; try again in a second",
    ),
];

/// SQLSTATE classes and codes that say "not now" rather than "wrong": connection exceptions,
/// insufficient resources, operator intervention (statement timeout, shutdown), and rollbacks by
/// serialisation or deadlock (PostgreSQL manual, appendix A).
const TRANSIENT: [&str; 4] = ["08", "53", "57", "40"];

pub(super) fn to_error(doing: &'static str, error: sqlx::Error) -> Error {
    let Some(database) = error.as_database_error() else {
        let transient = matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::Protocol(_)
        );
        return if transient {
            unavailable().because(doing, error)
        } else {
            Error::internal(doing, error)
        };
    };
    if matches!(database.kind(), ErrorKind::UniqueViolation) {
        let known = TABLE
            .iter()
            .find(|(name, ..)| database.constraint() == Some(name));
        if let Some((_, code, detail)) = known {
            return Error::new(*code, *detail).because(doing, error);
        }
    }
    let code = database.code().unwrap_or_default();
    if TRANSIENT.iter().any(|class| code.starts_with(class)) {
        return unavailable().because(doing, error);
    }
    Error::internal(doing, error)
}
