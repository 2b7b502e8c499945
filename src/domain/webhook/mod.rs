//! Events to customers: the envelope, its signature, the retry schedule, the endpoint's rules.

pub mod endpoint;
pub mod envelope;
pub mod schedule;
pub mod signature;
