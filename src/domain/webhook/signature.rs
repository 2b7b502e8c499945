//! Standard Webhooks 1.0 signatures, symmetric (`v1`).
//!
//! The signed content is `id.timestamp.body`; the signature is base64 of its HMAC-SHA-256 under the
//! secret's bytes. Source: the Standard Webhooks specification, "Signature scheme".

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The prefix of a secret's text form.
pub const SECRET_PREFIX: &str = "whsec_";

/// A signing secret: 24 to 64 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

impl SigningSecret {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Reads `whsec_` + base64, or the bare base64. `None` when it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(SECRET_PREFIX).unwrap_or(text);
        BASE64_STANDARD.decode(encoded).ok().map(Self)
    }

    /// The text form, for its owner: shown once.
    pub fn reveal(&self) -> String {
        format!("{SECRET_PREFIX}{}", BASE64_STANDARD.encode(&self.0))
    }

    /// The raw bytes, for sealing.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value of the `webhook-signature` header: `v1,` + base64.
    pub fn sign(&self, id: &str, unix_seconds: i64, body: &[u8]) -> String {
        let tag = self.mac(id, unix_seconds, body).finalize().into_bytes();
        format!("v1,{}", BASE64_STANDARD.encode(tag))
    }

    /// Whether one of the space-separated signatures in `header` is ours. Constant time.
    pub fn verifies(&self, id: &str, unix_seconds: i64, body: &[u8], header: &str) -> bool {
        header
            .split(' ')
            .filter_map(|signature| signature.strip_prefix("v1,"))
            .filter_map(|encoded| BASE64_STANDARD.decode(encoded).ok())
            .any(|tag| self.mac(id, unix_seconds, body).verify_slice(&tag).is_ok())
    }

    fn mac(&self, id: &str, unix_seconds: i64, body: &[u8]) -> Hmac<Sha256> {
        // HMAC takes a key of any length (RFC 2104 section 3): the fallback is never reached.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)
            .unwrap_or_else(|_| Hmac::<Sha256>::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(unix_seconds.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        mac
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the Standard Webhooks reference libraries (Rust and Go).
    #[test]
    fn signs_as_the_reference_libraries_do() {
        let table = [
            (
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                1_649_367_553,
                r#"{"email":"test@example.com","username":"test_user"}"#,
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
            (
                "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ];
        for (secret, id, at, body, expected) in table {
            let secret = SigningSecret::parse(secret).unwrap();
            assert_eq!(secret.sign(id, at, body.as_bytes()), expected);
            assert!(secret.verifies(id, at, body.as_bytes(), &format!("v1,AAAA {expected}")));
            assert!(!secret.verifies(id, at + 1, body.as_bytes(), expected));
            assert!(!secret.verifies(id, at, b"{}", expected));
        }
    }
}
