//! `/api/v1/phone-numbers`.

pub(in crate::http) mod create;
pub(in crate::http) mod delete;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod update;
mod view;

use crate::domain::{Error, ErrorCode};

/// The same for a number that there is not and one that may not be seen.
fn not_found() -> Error {
    Error::new(
        ErrorCode::PhoneNumberNotFound,
        "There is no such phone number",
    )
}
