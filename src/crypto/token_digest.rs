//! API tokens at rest: HMAC-SHA-256 under a pepper that is not in the database.
//!
//! A token carries 256 random bits, so a slow hash would buy nothing; the pepper makes a stolen
//! database useless for testing guesses.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::{secret_text::SecretText, token::TokenText};

/// The key of the tokens' digests: at least 32 bytes.
#[derive(Clone)]
pub struct Pepper(Vec<u8>);

impl Pepper {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// What is stored of a token, and looked up.
    pub fn digest(&self, token: &TokenText) -> [u8; 32] {
        self.mac(&[token.reveal().as_bytes()])
    }

    /// The same of a secret that a person carries; its prefix keeps the kinds apart.
    pub fn digest_secret(&self, secret: &SecretText) -> [u8; 32] {
        self.mac(&[secret.reveal().as_bytes()])
    }

    /// What is counted under `name` of `whom`, so that the counts of a stolen database name nobody.
    pub fn digest_count(&self, name: &str, whom: &[&str]) -> [u8; 32] {
        let mut parts = vec![b"count\0".as_slice(), name.as_bytes()];
        for part in whom {
            parts.extend([b"\0".as_slice(), part.as_bytes()]);
        }
        self.mac(&parts)
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        // HMAC takes a key of any length (RFC 2104 section 3): the fallback is never reached.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)
            .unwrap_or_else(|_| Hmac::<Sha256>::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}
