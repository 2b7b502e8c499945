//! Events to customers: their types, the envelope, its signature, the retry schedule, the
//! endpoint's rules, and where a reader of events is.

pub mod endpoint;
pub mod envelope;
pub mod event;
pub mod headers;
pub mod schedule;
pub mod signature;
