//! What tests stand on: a database each, a running node with a simulated provider, a client.

pub mod app;
pub mod client;
pub mod contents;
pub mod database;
pub mod operations;
pub mod raw;
pub mod twilio;
pub mod wait;
