//! Keys and hashes: what is sealed, hashed and compared, and never the policy about it.

pub mod access_token;
pub mod admin_token;
pub mod audit_chain;
pub mod password_hash;
pub mod sealed;
pub mod token_digest;
