//! `/api/v1/provider-accounts`. Credentials come in and never go out.

pub(in crate::http) mod connect;
pub(in crate::http) mod disconnect;
pub(in crate::http) mod doctor;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
mod probe;
pub(in crate::http) mod rotate;
mod view;

use crate::domain::{Error, ErrorCode};

/// The same for an account that there is not and one that may not be seen.
fn not_found() -> Error {
    Error::new(
        ErrorCode::ProviderAccountNotFound,
        "There is no such provider account",
    )
}
