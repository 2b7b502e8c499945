//! Phone numbers in E.164 form.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A phone number as ITU-T E.164 has it: `+`, then 2 to 15 digits, the first not zero.
///
/// Personal data: `Debug` and `Display` show the country's start and the last two digits only.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(try_from = "String")]
#[sqlx(transparent)]
pub struct Phone(String);

/// Why a text is not a phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an E.164 phone number: '+', country code and number, 2 to 15 digits, for example +15550100123"
)]
pub struct PhoneProblem;

impl Phone {
    /// The number in clear: for the provider, the API's own answers and the database.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// What stands for a caller who has no number or withholds it (RFC 3323 section 4.1).
const ANONYMOUS: &str = "anonymous";

impl Phone {
    /// The other party of a call that came in, as a provider writes it: a number with or without
    /// its `+`, a `tel:` or `sip:` URI, or a word for a caller who withholds it.
    pub fn of_caller(text: &str) -> Self {
        Self::in_address(text).unwrap_or_else(|| Self(ANONYMOUS.to_owned()))
    }

    /// The number in an address as providers and SIP write it; `None`: it holds none.
    pub fn in_address(text: &str) -> Option<Self> {
        let text = text.split_once('<').map_or(text, |(_, uri)| uri);
        let text = ["sips:", "sip:", "tel:"]
            .iter()
            .find_map(|scheme| text.trim().strip_prefix(scheme))
            .unwrap_or(text);
        let user = text.split(['@', ';', '>', '?']).next().unwrap_or_default();
        let user = user.trim();
        user.parse().or_else(|_| format!("+{user}").parse()).ok()
    }
}

impl FromStr for Phone {
    type Err = PhoneProblem;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('+').ok_or(PhoneProblem)?;
        let plausible = (2..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if plausible {
            Ok(Self(text.to_owned()))
        } else {
            Err(PhoneProblem)
        }
    }
}

impl TryFrom<String> for Phone {
    type Error = PhoneProblem;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.len().saturating_sub(2);
        let (head, tail) = self.0.split_at(shown);
        write!(f, "{}…{tail}", head.get(..2).unwrap_or("+"))
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_e164_and_nothing_else() {
        for good in ["+15550100123", "+442071838750", "+12"] {
            assert_eq!(good.parse::<Phone>().unwrap().reveal(), good);
        }
        for bad in [
            "",
            "+",
            "15550100",
            "+0155501",
            "+1555a",
            "+1234567890123456",
            "+1 555",
            "+1\0",
        ] {
            assert_eq!(bad.parse::<Phone>(), Err(PhoneProblem), "{bad:?}");
        }
    }

    #[test]
    fn is_masked_when_printed() {
        let number: Phone = "+15550100123".parse().unwrap();
        assert_eq!(format!("{number} {number:?}"), "+1…23 +1…23");
    }
}
