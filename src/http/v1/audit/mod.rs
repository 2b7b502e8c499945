//! `/api/v1/audit`.

pub(in crate::http) mod list;
