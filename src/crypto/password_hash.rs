//! Passwords at rest: argon2id (RFC 9106) with the parameters that OWASP's password storage cheat
//! sheet gives as its first choice of little memory: 19 MiB, two passes, one lane.
//!
//! A hash takes tens of milliseconds and 19 MiB on purpose: whoever asks bounds how many there are.

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordVerifier as _, Version,
    password_hash::PasswordHasher as _,
};

use crate::domain::{Error, Result, password::Password};

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// RFC 9106 section 3.1 recommends 16 bytes for password hashing.
pub const SALT_BYTES: usize = 16;

fn current() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| Error::internal("prepare argon2", error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The hash as a PHC string.
///
/// # Errors
/// `INTERNAL`.
pub fn hash(password: &Password, salt: [u8; SALT_BYTES]) -> Result<String> {
    current()?
        .hash_password_with_salt(password.reveal().as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| Error::internal("hash a password", error.to_string()))
}

/// Whether `hash` is this password's, in constant time. What cannot be read is nobody's.
pub fn is(password: &Password, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else {
        return false;
    };
    // The parameters are those that the hash was made with.
    Argon2::default()
        .verify_password(password.reveal().as_bytes(), &hash)
        .is_ok()
}

/// Whether a hash was made with other parameters than today's: it is made anew when its password is
/// next shown.
pub fn is_outdated(hash: &str) -> bool {
    let wanted = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$");
    !hash.starts_with(&wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::shown(text.to_owned()).unwrap()
    }

    #[test]
    fn a_hash_is_its_passwords_alone_and_says_how_it_was_made() {
        let text = hash(&password("correct horse battery"), [7; SALT_BYTES]).unwrap();
        assert!(
            text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{text}"
        );
        assert!(is(&password("correct horse battery"), &text));
        assert!(!is(&password("correct horse batterz"), &text));
        assert!(!is_outdated(&text));
        let other = hash(&password("correct horse battery"), [8; SALT_BYTES]).unwrap();
        assert_ne!(text, other);
    }

    #[test]
    fn an_older_hash_is_recognised_and_is_to_be_made_anew() {
        let weak = Params::new(8, 1, 1, None).unwrap();
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, weak);
        let text = weak
            .hash_password_with_salt(b"correct horse battery", &[7; SALT_BYTES])
            .unwrap()
            .to_string();
        assert!(is(&password("correct horse battery"), &text));
        assert!(is_outdated(&text));
        assert!(!is(&password("x"), "no hash") && is_outdated("no hash"));
    }
}
