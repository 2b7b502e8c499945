//! API tokens: their text form, what they may do, and who is calling.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{AgentId, OrganizationId, PersonId, SessionId, TokenId, call::Call, role::Role};

/// Which world a token acts in. Test calls reach simulated accounts only and are never billed.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    sqlx::Type,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Environment {
    Live,
    Test,
}

/// What a token may do.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
pub enum Scope {
    #[strum(serialize = "calls:read")]
    CallsRead,
    #[strum(serialize = "calls:create")]
    CallsCreate,
    #[strum(serialize = "calls:end")]
    CallsEnd,
    #[strum(serialize = "webhooks:read")]
    WebhooksRead,
    #[strum(serialize = "webhooks:write")]
    WebhooksWrite,
    #[strum(serialize = "agents:read")]
    AgentsRead,
    #[strum(serialize = "agents:write")]
    AgentsWrite,
    /// Provider accounts and phone numbers.
    #[strum(serialize = "accounts:read")]
    AccountsRead,
    #[strum(serialize = "accounts:write")]
    AccountsWrite,
    #[strum(serialize = "tokens:read")]
    TokensRead,
    #[strum(serialize = "tokens:write")]
    TokensWrite,
    #[strum(serialize = "members:read")]
    MembersRead,
    #[strum(serialize = "members:write")]
    MembersWrite,
    #[strum(serialize = "organization:write")]
    OrganizationWrite,
    #[strum(serialize = "audit:read")]
    AuditRead,
    #[strum(serialize = "billing:read")]
    BillingRead,
}

impl Scope {
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether a test token may use it. The others reach what live calls use, or show it.
    pub fn is_for_tests(self) -> bool {
        match self {
            Self::CallsRead
            | Self::CallsCreate
            | Self::CallsEnd
            | Self::AgentsRead
            | Self::AccountsRead
            | Self::AccountsWrite
            | Self::TokensRead
            | Self::TokensWrite => true,
            Self::WebhooksRead
            | Self::WebhooksWrite
            | Self::AgentsWrite
            | Self::MembersRead
            | Self::MembersWrite
            | Self::OrganizationWrite
            | Self::AuditRead
            | Self::BillingRead => false,
        }
    }
}

/// The text of a token: `ohk_live_` or `ohk_test_`, 43 characters that carry 256 random bits, and
/// 6 characters of checksum (CRC-32 of all that precedes it), so that a scanner can tell a token
/// from noise and a mistyped one costs no database read.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenText(String);

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
pub(super) const SECRET_CHARS: usize = 43;
pub(super) const CHECKSUM_CHARS: usize = 6;

impl TokenText {
    /// A token of 256 random bits.
    pub fn new(environment: Environment, random: [u8; 32]) -> Self {
        let mut secret = base62(&random, SECRET_CHARS);
        let name: &str = environment.into();
        secret.insert_str(0, &format!("ohk_{name}_"));
        let checksum = checksum(&secret);
        Self(secret + &checksum)
    }

    /// The token in clear: to hash it, and to show it once to its maker.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What lists and logs may show of it.
    pub fn prefix(&self) -> String {
        self.0.chars().take(13).collect()
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.prefix())
    }
}

/// A text that cannot be one of our tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Onhook token: it must start with ohk_live_ or ohk_test_ and carry its checksum")]
pub struct NotAToken;

impl FromStr for TokenText {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = ["ohk_live_", "ohk_test_"]
            .iter()
            .any(|prefix| text.starts_with(prefix));
        if !known || text.len() != 9 + SECRET_CHARS + CHECKSUM_CHARS || !text.is_ascii() {
            return Err(NotAToken);
        }
        let (head, tail) = text.split_at(text.len() - CHECKSUM_CHARS);
        if checksum(head) == tail {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAToken)
        }
    }
}

pub(super) fn checksum(text: &str) -> String {
    base62(
        &crc32fast::hash(text.as_bytes()).to_be_bytes(),
        CHECKSUM_CHARS,
    )
}

/// The number that `bytes` spell (big endian), in base 62 with leading zeros up to `width`.
pub(super) fn base62(bytes: &[u8], width: usize) -> String {
    let mut digits = vec![0_u32; width];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in digits.iter_mut().rev() {
            let value = *digit * 256 + carry;
            *digit = value % 62;
            carry = value / 62;
        }
    }
    digits
        .into_iter()
        .filter_map(|digit| ALPHABET.get(usize::try_from(digit).ok()?))
        .map(|byte| char::from(*byte))
        .collect()
}

/// Whom a caller was recognised as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A program, by its API token.
    Token(TokenId),
    /// A member of the organisation, by the access token of a session.
    Person {
        person_id: PersonId,
        session_id: SessionId,
        role: Role,
    },
    /// Nobody's token was asked for: local mode, and the operator.
    Local,
}

/// Who is calling, as a checked token says; in local mode and for the operator, as the node's
/// configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub organization_id: OrganizationId,
    pub principal: Principal,
    pub environment: Environment,
    /// A person's are those of the role.
    pub scopes: Vec<Scope>,
    /// The only agents the token may act for; `None`: all of the organisation's.
    pub agent_ids: Option<Vec<AgentId>>,
    /// Whether the account is verified (the organisation, and of a person the address too), which
    /// ending by `terminate` and the management of keys ask for.
    pub verified: bool,
}

impl Caller {
    /// Somebody without a token who may do `scopes` in the whole organisation.
    pub fn without_token(organization_id: OrganizationId, scopes: Vec<Scope>) -> Self {
        Self {
            organization_id,
            principal: Principal::Local,
            environment: Environment::Live,
            scopes,
            agent_ids: None,
            verified: true,
        }
    }

    /// `None`: it is no program with a token.
    pub fn token_id(&self) -> Option<TokenId> {
        match self.principal {
            Principal::Token(id) => Some(id),
            Principal::Person { .. } | Principal::Local => None,
        }
    }

    /// `None`: it is no person.
    pub fn person_id(&self) -> Option<PersonId> {
        match self.principal {
            Principal::Person { person_id, .. } => Some(person_id),
            Principal::Token(_) | Principal::Local => None,
        }
    }

    /// The highest role that the caller may give, take or change: a person's own, and of a token
    /// the highest below owner whose every scope it has. `None`: none.
    pub fn highest_role(&self) -> Option<Role> {
        match self.principal {
            Principal::Person { role, .. } => Some(role),
            Principal::Token(_) if self.agent_ids.is_none() => Role::within(&self.scopes),
            Principal::Token(_) | Principal::Local => None,
        }
    }

    pub fn may_act_for(&self, agent_id: AgentId) -> bool {
        self.agent_ids
            .as_ref()
            .is_none_or(|ids| ids.contains(&agent_id))
    }

    /// Whether the caller may see and end the call: one with a test token the test calls, which were
    /// placed or adopted with one.
    pub fn may_see(&self, call: &Call) -> bool {
        self.may_act_for(call.agent_id) && (self.environment == Environment::Live || call.test)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_itself_back_and_a_changed_character_breaks_the_checksum() {
        let token = TokenText::new(Environment::Live, [0xA5; 32]);
        assert_eq!(token.reveal().len(), 58);
        assert_eq!(token.reveal().parse::<TokenText>().unwrap(), token);
        for at in 9..58 {
            let mut text = token.reveal().to_owned().into_bytes();
            text[at] = if text[at] == b'x' { b'y' } else { b'x' };
            let text = String::from_utf8(text).unwrap();
            assert_eq!(text.parse::<TokenText>(), Err(NotAToken), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "ohk_live_",
            "sk_live_abc",
            "ohk_live_ä",
            &"x".repeat(58),
        ] {
            assert_eq!(text.parse::<TokenText>(), Err(NotAToken));
        }
    }

    #[test]
    fn the_documented_vectors_are_what_is_taken_and_refused() {
        const PAGE: &str = include_str!("../../docs/tokens.md");
        let vectors: Vec<(&str, bool)> = PAGE
            .lines()
            .filter_map(|line| {
                let (text, rest) = line.strip_prefix("| `ohk_")?.split_once('`')?;
                let start = line.len() - rest.len() - text.len() - 1 - "ohk_".len();
                let text = line.get(start..line.len() - rest.len() - 1)?;
                Some((text, rest.ends_with("| good |")))
            })
            .collect();
        assert_eq!(vectors.len(), 5);
        for (text, good) in vectors {
            assert_eq!(text.parse::<TokenText>().is_ok(), good, "{text}");
        }
        let made = TokenText::new(Environment::Live, [0; 32]);
        assert!(PAGE.contains(&format!("| `{}` |", made.reveal())));
        let made = TokenText::new(Environment::Test, [255; 32]);
        assert!(PAGE.contains(&format!("| `{}` |", made.reveal())));
    }

    #[test]
    fn a_test_token_may_use_nothing_that_reaches_live_calls() {
        use strum::VariantArray as _;
        let refused: Vec<&str> = Scope::VARIANTS
            .iter()
            .filter(|scope| !scope.is_for_tests())
            .map(|scope| scope.as_str())
            .collect();
        let expected = [
            "webhooks:read",
            "webhooks:write",
            "agents:write",
            "members:read",
            "members:write",
            "organization:write",
            "audit:read",
            "billing:read",
        ];
        assert_eq!(refused, expected);
    }

    #[test]
    fn debug_shows_the_prefix_only() {
        let token = TokenText::new(Environment::Test, [1; 32]);
        assert_eq!(format!("{token:?}").chars().count(), 14);
    }
}
