//! `/api/v1/members`: who belongs to the organisation.

pub(in crate::http) mod delete;
pub(in crate::http) mod list;
pub(in crate::http) mod update;
pub(in crate::http) mod view;
