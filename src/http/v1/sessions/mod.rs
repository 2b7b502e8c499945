//! `/api/v1/sessions`: where a person is logged in.

pub(in crate::http) mod delete;
pub(in crate::http) mod list;
