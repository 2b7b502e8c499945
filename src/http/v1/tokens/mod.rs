//! `/api/v1/tokens`.

pub(in crate::http) mod create;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod revoke;
pub(in crate::http) mod rotate;
mod view;

use crate::domain::{Error, ErrorCode};

/// The same for a token that there is not and one that may not be seen.
fn not_found() -> Error {
    Error::new(ErrorCode::TokenNotFound, "There is no such token")
}
