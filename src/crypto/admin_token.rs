//! The operator's token: only its digest is kept, and it is compared in constant time.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What the operator shows in `X-Admin-Token`. Its text lives on nowhere, so no log can show it.
#[derive(Clone)]
pub struct AdminToken([u8; 32]);

impl AdminToken {
    pub fn new(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Whether this is the token. Takes as long for one that is nearly right as for any other of
    /// its length: digests are compared, every byte of them.
    pub fn is(&self, shown: &[u8]) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        self.0.ct_eq(&shown).into()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_are_the_token() {
        let token = AdminToken::new("your-admin-token");
        assert!(token.is(b"your-admin-token"));
        for other in [
            &b""[..],
            b"your-admin-toke",
            b"your-admin-token ",
            b"Your-admin-token",
            b"\xff",
        ] {
            assert!(!token.is(other), "{other:?}");
        }
        assert_eq!(format!("{token:?}"), "AdminToken(…)");
    }
}
