//! Onhook: the call-control plane for AI phone agents.

pub mod ambient;
pub mod boot;
pub mod cli;
pub mod domain;
pub mod outbound;
