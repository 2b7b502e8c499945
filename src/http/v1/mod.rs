//! The canonical routes under `/api/v1`: a folder for each noun, a file for each verb.

pub(super) mod auth;
pub(super) mod calls;
pub(super) mod invitations;
pub(super) mod members;
pub(super) mod organizations;
mod people;
pub(super) mod sessions;
mod style;
pub(super) mod webhook_endpoints;

pub(super) use style::finish;
