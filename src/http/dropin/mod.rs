//! The routes of four other products, one file for each of their pages: same paths, statuses,
//! members and strings. They call the same operations as `v1` and only translate.

pub(super) mod admin_cancel;
pub(super) mod agent_call;
pub(super) mod agent_end_call;
mod dial;
pub(super) mod session_call;
pub(super) mod session_end;
pub(super) mod session_list;
mod style;
pub(super) mod terminate;
