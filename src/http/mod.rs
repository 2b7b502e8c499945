//! The outside face: routes, reading requests, writing answers. Handlers decide nothing: they read
//! the request, call one operation of [`crate::app`], and translate what it says.

mod answer;
mod callbacks;
mod dropin;
mod error;
mod extract;
mod health;
mod idempotent;
mod layers;
pub mod openapi;
mod pages;
mod router;
mod state;
mod v1;
mod webhook_catalogue;

pub use health::operator_router;
pub use layers::Arrival;
pub use router::router;
pub use state::{HttpParts, HttpState, Waits};
