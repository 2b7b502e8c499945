//! `/api/v1/webhook-endpoints`.

pub(in crate::http) mod agent;
pub(in crate::http::v1) mod caller;
pub(in crate::http::v1) mod check;
pub(in crate::http) mod create;
pub(in crate::http) mod delete;
pub(in crate::http) mod deliveries;
pub(in crate::http) mod delivery;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod replay;
pub(in crate::http) mod resend;
pub(in crate::http) mod rotate_secret;
pub(in crate::http) mod send_test;
pub(in crate::http) mod update;
mod view;
