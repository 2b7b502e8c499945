//! Passwords as they are accepted, by NIST SP 800-63B section 5.1.1.2: a length and nothing about
//! their composition, and not the ones that everybody tries first.

use std::fmt;

const LEAST_CHARACTERS: usize = 12;

/// Beyond it a password is refused before anything is computed of it.
const MOST_BYTES: usize = 256;

/// What is tried first against every login, of those that are long enough.
const TRIED_FIRST: [&str; 12] = [
    "123456789012",
    "1234567890123",
    "12345678901234",
    "password1234",
    "password12345",
    "passwordpassword",
    "qwertyuiopasdf",
    "qwerty123456",
    "iloveyouiloveyou",
    "adminadminadmin",
    "letmeinletmein",
    "administrator",
];

/// A password in clear. It is in no log, no error and no `Debug`.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// A password that somebody chooses.
    ///
    /// # Errors
    /// What is wrong with it, for whoever chose it.
    pub fn chosen(text: String, email_key: &str) -> Result<Self, &'static str> {
        let plain = text.to_lowercase();
        let characters = text.chars().count();
        let varied = plain
            .chars()
            .next()
            .is_some_and(|first| plain.chars().any(|c| c != first));
        if text.len() > MOST_BYTES {
            Err("must be at most 256 bytes long")
        } else if characters < LEAST_CHARACTERS {
            Err("must be at least 12 characters long")
        } else if !varied || TRIED_FIRST.contains(&plain.as_str()) || plain == email_key {
            Err("is one of the first that somebody would try; choose another")
        } else {
            Ok(Self(text))
        }
    }

    /// A password that somebody shows; `None`: none of ours is as long, and nothing is computed.
    pub fn shown(text: String) -> Option<Self> {
        (text.len() <= MOST_BYTES).then_some(Self(text))
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ones_are_accepted_whatever_they_are_made_of() {
        for text in [
            "correct horse battery",
            "äöüäöüäöüäöü",
            "111111111112",
            &"ab".repeat(128),
        ] {
            assert!(
                Password::chosen(text.to_owned(), "person@example.com").is_ok(),
                "{text}"
            );
        }
    }

    #[test]
    fn short_endless_and_obvious_ones_are_refused() {
        let endless = "x".repeat(1 << 20);
        for text in [
            "",
            "elevenchars",
            "aaaaaaaaaaaa",
            "Password1234",
            "person@example.com",
            "PERSON@example.com",
            &endless,
            &"ä".repeat(129),
        ] {
            assert!(Password::chosen(text.to_owned(), "person@example.com").is_err());
        }
        assert!(Password::shown(endless).is_none());
        assert!(Password::shown("short".to_owned()).is_some());
    }

    #[test]
    fn debug_shows_nothing() {
        let password = Password::shown("hunter2hunter2".to_owned()).unwrap();
        assert_eq!(format!("{password:?}"), "Password(…)");
    }
}
