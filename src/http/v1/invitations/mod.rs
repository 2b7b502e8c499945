//! `/api/v1/invitations`: offers to join the organisation.

pub(in crate::http) mod accept;
pub(in crate::http) mod create;
pub(in crate::http) mod delete;
pub(in crate::http) mod list;
pub(in crate::http) mod view;
