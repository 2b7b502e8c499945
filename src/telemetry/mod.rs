//! What operators see: logs and metrics. Neither holds a phone number, a secret or a body.

pub mod log;
mod metrics;

pub use metrics::Metrics;
