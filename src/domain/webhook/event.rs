//! Every type of event that customers can receive: facts of calls, and what happens to an
//! organisation and to none of its calls.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use strum::VariantArray as _;

use crate::domain::call::FactType;

/// What happens to an organisation and to none of its calls.
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
pub enum OrganizationEvent {
    /// A provider refuses an account's credentials: no calls are placed through it.
    #[strum(serialize = "provider_account.credentials_refused")]
    CredentialsRefused,
    /// A receiver failed for so long that it gets no more events.
    #[strum(serialize = "webhook_endpoint.disabled")]
    EndpointDisabled,
    /// Asked for by a receiver's owner, sent to that receiver alone.
    #[strum(serialize = "webhook.test")]
    Test,
}

impl OrganizationEvent {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    Call(FactType),
    Organization(OrganizationEvent),
}

impl EventType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call(fact) => fact.as_str(),
            Self::Organization(event) => event.as_str(),
        }
    }

    /// Every type, in the catalogue's order.
    pub fn all() -> impl Iterator<Item = Self> {
        let facts = FactType::VARIANTS.iter().copied().map(Self::Call);
        let others = OrganizationEvent::VARIANTS.iter().copied();
        facts.chain(others.map(Self::Organization))
    }
}

/// A text that names no type of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an event type of ours")]
pub struct UnknownEvent;

impl FromStr for EventType {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fact = FactType::from_str(text).map(Self::Call);
        fact.or_else(|_| OrganizationEvent::from_str(text).map(Self::Organization))
            .map_err(|_| UnknownEvent)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_type_has_a_name_of_its_own_and_is_read_back_from_it() {
        let names: BTreeSet<&str> = EventType::all().map(EventType::as_str).collect();
        assert_eq!(names.len(), EventType::all().count());
        for event in EventType::all() {
            assert_eq!(event.as_str().parse(), Ok(event));
            let written = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<EventType>(&written).unwrap(), event);
        }
        assert_eq!(
            "event_phone_call_end".parse::<EventType>(),
            Err(UnknownEvent)
        );
    }
}
