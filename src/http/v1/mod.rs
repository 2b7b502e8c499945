//! The canonical routes under `/api/v1`: a folder for each noun, a file for each verb.

pub(super) mod agents;
pub(super) mod audit;
pub(super) mod auth;
pub(super) mod calls;
pub(super) mod events;
pub(super) mod invitations;
pub(super) mod members;
pub(super) mod notices;
pub(super) mod organizations;
mod people;
pub(super) mod phone_numbers;
pub(super) mod provider_accounts;
pub(super) mod sessions;
pub(super) mod stream;
mod style;
pub(super) mod tokens;
pub(super) mod webhook_endpoints;

pub(super) use style::{checked_name, finish};
