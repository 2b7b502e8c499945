//! What tests stand on: a database each, a running node with a simulated provider, a client, the
//! source as tokens.

pub mod app;
pub mod bot_api;
pub mod client;
pub mod contents;
pub mod database;
pub mod elsewhere;
pub mod event_source;
pub mod gateway;
pub mod line;
pub mod operations;
pub mod ports;
pub mod raw;
pub mod source;
pub mod twilio_callback;
pub mod wait;
