//! The routes of four other products, one file for each of their pages: same paths, statuses,
//! members and strings. They call the same operations as `v1` and only translate.

pub(super) mod agent_call;
pub(super) mod agent_end_call;
mod style;
pub(super) mod terminate;
