//! Secrets at rest: XChaCha20-Poly1305 under a key ring, bound to the row they belong to.
//!
//! The key's id is stored beside what it sealed, so that keys can be rotated: the first key of the
//! ring seals, every key of the ring opens.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};

use crate::{
    ambient::Entropy,
    domain::{Error, Result},
};

const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;

/// Something sealed: nonce and ciphertext, and the id of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub bytes: Vec<u8>,
    pub key_id: String,
}

/// The keys, newest first.
#[derive(Clone)]
pub struct KeyRing(Vec<(String, XChaCha20Poly1305)>);

/// Why a text is not a key ring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingProblem {
    #[error(
        "must hold at least one key, written id:base64 of 32 bytes; make one with: openssl rand -base64 32"
    )]
    Empty,
    #[error(
        "each key must be written id:base64 of 32 bytes, separated by commas, the newest first"
    )]
    Malformed,
}

impl KeyRing {
    /// Reads `id:base64,id:base64`, the newest first.
    ///
    /// # Errors
    /// [`KeyRingProblem`]; it names no key.
    pub fn parse(text: &str) -> Result<Self, KeyRingProblem> {
        let keys: Vec<_> = text
            .split(',')
            .filter(|part| !part.trim().is_empty())
            .map(|part| {
                let (id, encoded) = part
                    .trim()
                    .split_once(':')
                    .ok_or(KeyRingProblem::Malformed)?;
                let bytes = BASE64_STANDARD
                    .decode(encoded)
                    .map_err(|_| KeyRingProblem::Malformed)?;
                let bytes: [u8; KEY_BYTES] =
                    bytes.try_into().map_err(|_| KeyRingProblem::Malformed)?;
                let usable = (1..=40).contains(&id.len());
                usable
                    .then(|| (id.to_owned(), XChaCha20Poly1305::new(&bytes.into())))
                    .ok_or(KeyRingProblem::Malformed)
            })
            .collect::<Result<_, _>>()?;
        if keys.is_empty() {
            Err(KeyRingProblem::Empty)
        } else {
            Ok(Self(keys))
        }
    }

    /// Seals `secret` so that it opens only with the same `context` (table and row).
    ///
    /// # Errors
    /// `INTERNAL` when the cipher refuses, which it does for messages beyond 256 GiB only.
    pub fn seal(&self, secret: &[u8], context: &str, entropy: &dyn Entropy) -> Result<Sealed> {
        let (key_id, cipher) = self.0.first().ok_or_else(no_key)?;
        let nonce: [u8; NONCE_BYTES] = entropy.bytes();
        let payload = Payload {
            msg: secret,
            aad: context.as_bytes(),
        };
        let ciphertext = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Error::internal("seal a secret", "the cipher refused"))?;
        let bytes = nonce.into_iter().chain(ciphertext).collect();
        Ok(Sealed {
            bytes,
            key_id: key_id.clone(),
        })
    }

    /// The id of the key that seals.
    ///
    /// # Errors
    /// `INTERNAL`: there is none.
    pub fn newest(&self) -> Result<&str> {
        let (id, _) = self.0.first().ok_or_else(no_key)?;
        Ok(id)
    }

    /// Opens what was sealed for the same `context`.
    ///
    /// # Errors
    /// `INTERNAL` when the key is not in the ring or the bytes are not what was sealed.
    pub fn open(&self, sealed: &Sealed, context: &str) -> Result<Vec<u8>> {
        let (_, cipher) = self
            .0
            .iter()
            .find(|(key_id, _)| *key_id == sealed.key_id)
            .ok_or_else(no_key)?;
        let (nonce, ciphertext) = sealed
            .bytes
            .split_at_checked(NONCE_BYTES)
            .ok_or_else(broken)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| broken())?;
        let payload = Payload {
            msg: ciphertext,
            aad: context.as_bytes(),
        };
        cipher
            .decrypt(&XNonce::from(nonce), payload)
            .map_err(|_| broken())
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.0.iter().map(|(id, _)| id.as_str()).collect();
        write!(f, "KeyRing{ids:?}")
    }
}

fn no_key() -> Error {
    Error::internal(
        "open a secret",
        "ONHOOK_SECRET_KEY does not hold the key it was sealed with",
    )
}

fn broken() -> Error {
    Error::internal(
        "open a secret",
        "what is stored is not what was sealed for this row",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SeededEntropy;

    fn ring(text: &str) -> KeyRing {
        KeyRing::parse(text).unwrap()
    }

    const OLD: &str = "a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const NEW: &str = "b:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    #[test]
    fn opens_for_the_same_row_only_and_survives_a_new_key() {
        let entropy = SeededEntropy::new(1);
        let sealed = ring(OLD).seal(b"secret", "accounts/1", &entropy).unwrap();
        let rotated = ring(&format!("{NEW},{OLD}"));
        assert_eq!(rotated.open(&sealed, "accounts/1").unwrap(), b"secret");
        assert!(rotated.open(&sealed, "accounts/2").is_err());
        assert!(ring(NEW).open(&sealed, "accounts/1").is_err());
        assert_eq!(rotated.seal(b"x", "y", &entropy).unwrap().key_id, "b");
        let mut changed = sealed;
        changed.bytes[30] ^= 1;
        assert!(rotated.open(&changed, "accounts/1").is_err());
    }

    #[test]
    fn refuses_what_is_no_key_ring() {
        for text in [
            "",
            ",",
            "a",
            "a:x",
            "a:AAAA",
            ":AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ] {
            assert!(KeyRing::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", ring(OLD)), r#"KeyRing["a"]"#);
    }
}
