//! People: their addresses and names, as they are accepted.
//!
//! A person belongs to any number of organisations, so nothing here is a tenant's.

use std::{fmt, str::FromStr};

/// An address for mail, as it was typed. It is shown to its owner and to members of the person's
/// organisations, and never to the log.
///
/// Narrower than RFC 5321 on purpose: ASCII without quoting, comments or domain literals, so that no
/// address can carry a second header or recipient, whatever sends the mail.
#[derive(Clone, PartialEq, Eq)]
pub struct EmailAddress(String);

/// RFC 5321 section 4.5.3.1: a path has 256 octets at most, with its angle brackets.
const MOST_CHARACTERS: usize = 254;
const MOST_LOCAL_CHARACTERS: usize = 64;
const MOST_LABEL_CHARACTERS: usize = 63;

impl EmailAddress {
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What two spellings of one address have in common: an account has one key, and no case.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// A text that is no address for mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address such as person@example.com, at most 254 characters, all ASCII")]
pub struct NotAnEmailAddress;

impl FromStr for EmailAddress {
    type Err = NotAnEmailAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (local, domain) = text.rsplit_once('@').ok_or(NotAnEmailAddress)?;
        let good = text.len() <= MOST_CHARACTERS && is_local_part(local) && is_domain(domain);
        good.then(|| Self(text.to_owned())).ok_or(NotAnEmailAddress)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

/// A dot-string of RFC 5321 section 4.1.2.
fn is_local_part(text: &str) -> bool {
    let is_atext =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    text.len() <= MOST_LOCAL_CHARACTERS
        && text
            .split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

/// A host name of at least two labels, the last of which is no number.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MOST_LABEL_CHARACTERS).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels = text.split('.').count();
    let last = text.rsplit('.').next().unwrap_or_default();
    labels >= 2 && text.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

/// What is wrong with a person's or an organisation's name: it goes into mails and tables.
pub fn name_problem(name: &str) -> Option<&'static str> {
    let length = name.chars().count();
    // Format characters turn the direction of a line (bidirectional overrides) or hide in it.
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if !(1..=200).contains(&length) || name.trim() != name {
        Some("must be 1 to 200 characters long, without spaces around it")
    } else if name.chars().any(hidden) {
        Some("must not contain control characters")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_people_have_are_accepted_and_compare_without_case() {
        for text in [
            "person@example.com",
            "First.Last+calls@Sub.Example.co.uk",
            "o'brien@example.com",
            "x@xn--bcher-kva.example",
        ] {
            let address: EmailAddress = text.parse().unwrap();
            assert_eq!(address.reveal(), text);
            assert_eq!(address.key(), text.to_lowercase());
            assert_eq!(format!("{address:?}"), "EmailAddress(…)");
        }
    }

    #[test]
    fn nothing_that_could_become_a_header_or_a_second_recipient_is_an_address() {
        let long = format!("{}@example.com", "x".repeat(65));
        let longer = format!("x@{}example.com", "a23456789.".repeat(25));
        for text in [
            "",
            "@",
            "person",
            "person@",
            "@example.com",
            "person@example",
            "person@example.com\r\nBcc: other@example.com",
            "person@example.com\nSubject: x",
            "person\r\n@example.com",
            "person@example.com, other@example.com",
            "person@example.com>",
            "<person@example.com>",
            "\"person\"@example.com",
            "person@[127.0.0.1]",
            "person@127.0.0.1",
            "person other@example.com",
            "person@exa mple.com",
            "person@-example.com",
            "person@example-.com",
            "person..x@example.com",
            ".person@example.com",
            "person.@example.com",
            "person@example..com",
            "person@example.com.",
            "adä@example.com",
            "person@exämple.com",
            "person\0@example.com",
            "person@other@example.com",
            &long,
            &longer,
        ] {
            assert_eq!(
                text.parse::<EmailAddress>(),
                Err(NotAnEmailAddress),
                "{text:?}"
            );
        }
    }

    #[test]
    fn names_are_a_line_of_text_that_shows_what_it_is() {
        for good in [
            "Person",
            "Ада Лавлейс",
            "O'Brien & Sons, Ltd.",
            &"x".repeat(200),
        ] {
            assert_eq!(name_problem(good), None, "{good}");
        }
        for bad in [
            "",
            " ",
            " Person",
            "Person\n",
            "A\r\nBcc: x",
            "A\u{202e}b",
            "A\u{0}",
            &"x".repeat(201),
        ] {
            assert!(name_problem(bad).is_some(), "{bad:?}");
        }
    }
}
