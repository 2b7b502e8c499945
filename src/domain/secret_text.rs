//! Secrets that we make and people carry: refresh tokens of sessions, and what links in mails hold.

use std::{fmt, str::FromStr};

use super::token::{CHECKSUM_CHARS, SECRET_CHARS, base62, checksum};

/// What a secret is for; it is part of the text, so that one is not taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// Continues a session: `ohr_…`.
    Refresh,
    /// Proves that a mail was received: `ohl_…`.
    Link,
}

impl SecretKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => "ohr_",
            Self::Link => "ohl_",
        }
    }
}

/// A secret of 256 random bits: its kind's prefix, 43 characters, and 6 characters of checksum as
/// an API token has them, so that a mistyped one costs no database read.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText {
    kind: SecretKind,
    text: String,
}

impl SecretText {
    pub fn new(kind: SecretKind, random: [u8; 32]) -> Self {
        let head = format!("{}{}", kind.prefix(), base62(&random, SECRET_CHARS));
        let checksum = checksum(&head);
        Self {
            kind,
            text: head + &checksum,
        }
    }

    /// The secret in clear: to hash it, and to hand it over once.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Reads a secret of this kind.
    pub fn parse(kind: SecretKind, text: &str) -> Option<Self> {
        let read: Self = text.parse().ok()?;
        (read.kind == kind).then_some(read)
    }
}

/// A text that cannot be one of our secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotASecret;

impl FromStr for SecretText {
    type Err = NotASecret;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kind = [SecretKind::Refresh, SecretKind::Link]
            .into_iter()
            .find(|kind| text.starts_with(kind.prefix()))
            .ok_or(NotASecret)?;
        let length = kind.prefix().len() + SECRET_CHARS + CHECKSUM_CHARS;
        if text.len() != length || !text.is_ascii() {
            return Err(NotASecret);
        }
        let (head, tail) = text.split_at(length - CHECKSUM_CHARS);
        let text = text.to_owned();
        (checksum(head) == tail)
            .then_some(Self { kind, text })
            .ok_or(NotASecret)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.kind.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_itself_back_as_its_own_kind_only() {
        let secret = SecretText::new(SecretKind::Refresh, [0xA5; 32]);
        assert_eq!(
            SecretText::parse(SecretKind::Refresh, secret.reveal()),
            Some(secret.clone())
        );
        assert_eq!(SecretText::parse(SecretKind::Link, secret.reveal()), None);
        assert_eq!(format!("{secret:?}"), "ohr_…");
    }

    #[test]
    fn a_changed_character_and_other_texts_are_refused() {
        let good = SecretText::new(SecretKind::Link, [7; 32])
            .reveal()
            .to_owned();
        let changed = good.replace(&good[10..11], if &good[10..11] == "x" { "y" } else { "x" });
        for text in ["", "ohl_", "ohk_live_x", &good[1..], &changed, "ohl_ä"] {
            assert_eq!(text.parse::<SecretText>(), Err(NotASecret), "{text}");
        }
    }
}
