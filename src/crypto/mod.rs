//! Keys and hashes: what is sealed, hashed and compared, and never the policy about it.

pub mod admin_token;
pub mod audit_chain;
pub mod sealed;
pub mod token_digest;
