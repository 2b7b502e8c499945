//! The canonical routes under `/api/v1`: a folder for each noun, a file for each verb.

pub(super) mod calls;
pub(super) mod events;
pub(super) mod notices;
pub(super) mod stream;
mod style;
pub(super) mod webhook_endpoints;

pub(super) use style::finish;
