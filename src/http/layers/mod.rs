//! What every request passes: its id, its one line in the log, the trailing slash, the rest of its
//! body.

mod access_log;
mod rate_headers;
mod trailing_slash;
mod unread_body;

pub(super) use access_log::{RequestContext, access_log};
pub(super) use trailing_slash::without_trailing_slash;
pub(super) use unread_body::read_unread_body;

use crate::domain::Timestamp;

/// When a request arrived: at the connection's acceptance for its first request, else when its head
/// was read. Set by the listener.
#[derive(Clone, Copy, Debug)]
pub struct Arrival(pub Timestamp);
