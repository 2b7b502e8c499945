//! Onhook: the call-control plane for AI phone agents.

pub mod ambient;
pub mod app;
pub mod boot;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod db;
pub mod domain;
pub mod http;
pub mod jobs;
pub mod outbound;
pub mod providers;
pub mod simulator;
pub mod telemetry;
