//! API tokens at rest: HMAC-SHA-256 under a pepper that is not in the database.
//!
//! A token carries 256 random bits, so a slow hash would buy nothing; the pepper makes a stolen
//! database useless for testing guesses.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::token::TokenText;

/// The key of the tokens' digests: at least 32 bytes.
#[derive(Clone)]
pub struct Pepper(Vec<u8>);

impl Pepper {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// What is stored of a token, and looked up.
    pub fn digest(&self, token: &TokenText) -> [u8; 32] {
        // HMAC takes a key of any length (RFC 2104 section 3): the fallback is never reached.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)
            .unwrap_or_else(|_| Hmac::<Sha256>::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        mac.update(token.reveal().as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}
