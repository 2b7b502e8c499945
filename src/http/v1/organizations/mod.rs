//! `/api/v1/organizations`.

pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod update;
pub(in crate::http) mod view;
