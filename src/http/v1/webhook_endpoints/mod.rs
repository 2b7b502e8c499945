//! `/api/v1/webhook-endpoints`.

pub(in crate::http) mod create;
pub(in crate::http) mod delete;
pub(in crate::http) mod list;
mod view;
