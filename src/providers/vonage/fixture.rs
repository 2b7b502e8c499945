//! What the adapter's tests share: an account with a key of their own, and what they sign with.

use serde_json::{Value, json};

use crate::{
    domain::{OrganizationId, ProviderAccountId, provider::ProviderKind},
    providers::{Account, Credentials},
};

pub(super) const PRIVATE_KEY: &str = include_str!("keys_of_tests/pkcs8.pem");
pub(super) const APPLICATION: &str = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab";
pub(super) const SIGNATURE_SECRET: &str = "qwertyuiopasdfghjklzxcvbnm123456";
pub(super) const API_KEY: &str = "a1b2c3d";

/// A call of theirs.
pub(super) const ID: &str = "63f61863-4a51-4f6b-86e1-46edebcf9356";
pub(super) const OTHER_ID: &str = "63f61863-4a51-4f6b-86e1-46edebcf9357";

pub(super) fn credentials() -> Value {
    json!({
        "application_id": APPLICATION, "private_key": PRIVATE_KEY,
        "signature_secret": SIGNATURE_SECRET, "api_key": API_KEY,
    })
}

pub(super) fn account(base_url: Option<&str>) -> Account {
    Account {
        id: ProviderAccountId(uuid::Uuid::nil()),
        organization_id: OrganizationId(uuid::Uuid::nil()),
        kind: ProviderKind::Vonage,
        external_id: APPLICATION.to_owned(),
        api_base_url: base_url.map(str::to_owned),
        credentials: Credentials::parse(ProviderKind::Vonage, credentials().to_string().as_bytes())
            .unwrap(),
    }
}
