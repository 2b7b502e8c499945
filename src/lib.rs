//! Onhook: the call-control plane for AI phone agents.

pub mod ambient;
pub mod domain;
pub mod outbound;
pub mod simulator;
