//! `/api/v1/notices`: who is told of calls over Telegram, and which gateways.

pub(in crate::http) mod create;
pub(in crate::http) mod deliveries;
pub(in crate::http) mod manage;
mod view;
