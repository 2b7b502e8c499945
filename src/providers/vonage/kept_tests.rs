//! What is kept between requests: an account's credentials as they were read, and its token.

use std::sync::Arc;

use reqwest::header::AUTHORIZATION;
use uuid::Uuid;

use super::{
    fixture::{APPLICATION, ID, credentials},
    keys::Stamp,
    request,
};
use crate::{
    domain::{OrganizationId, ProviderAccountId, Timestamp, provider::ProviderKind},
    providers::{Account, ProviderCall, StoredAccount, opened::Opened},
};

fn stored<'a>(credentials: &'a Arc<[u8]>, api_base_url: Option<&'a str>) -> StoredAccount<'a> {
    StoredAccount {
        id: ProviderAccountId(Uuid::from_u128(1)),
        organization_id: OrganizationId(Uuid::from_u128(2)),
        kind: ProviderKind::Vonage,
        external_id: APPLICATION,
        api_base_url,
        credentials,
    }
}

fn signed_with(secret: &str) -> Arc<[u8]> {
    let mut credentials = credentials();
    credentials["signature_secret"] = secret.into();
    credentials.to_string().into_bytes().into()
}

/// The token of a hang-up, the `number`th, so many seconds after the first.
fn token(account: &Account, seconds: i64, number: u128) -> String {
    let start: Timestamp = "2026-11-21T09:30:00Z".parse().unwrap();
    let stamp = Stamp {
        now: start.plus(time::Duration::seconds(seconds)),
        token_id: Uuid::from_u128(number),
    };
    let request = request::hang_up(account, ProviderCall::named(ID), stamp).unwrap();
    let value = &request.headers[AUTHORIZATION];
    assert!(value.is_sensitive());
    assert!(!format!("{request:?} {account:?}").contains("eyJ"));
    value.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_account_is_read_once_and_anew_as_soon_as_anything_of_it_changes() {
    let opened = Opened::default();
    let (old, new) = (signed_with("old"), signed_with("new"));
    let first = opened.read(stored(&old, None)).await.unwrap();
    let unsealed_again = signed_with("old");
    let same = opened.read(stored(&unsealed_again, None)).await.unwrap();
    assert!(Arc::ptr_eq(&first, &same));

    let host = Some("https://api-eu-3.vonage.com");
    let moved = opened.read(stored(&old, host)).await.unwrap();
    assert_eq!(moved.api_base_url.as_deref(), host);
    let rotated = opened.read(stored(&new, host)).await.unwrap();
    assert!(rotated.credentials != moved.credentials);
    let back = opened.read(stored(&old, host)).await.unwrap();
    assert!(back.credentials == first.credentials);

    let broken: Arc<[u8]> = Arc::from(&b"{}"[..]);
    assert!(opened.read(stored(&broken, host)).await.is_err());
}

#[tokio::test]
async fn a_token_is_used_for_five_minutes_by_its_account_alone() {
    let opened = Opened::default();
    let (old, new) = (signed_with("old"), signed_with("new"));
    let account = opened.read(stored(&old, None)).await.unwrap();
    let first = token(&account, 0, 1);
    assert_eq!(token(&account, 0, 2), first);
    let again = opened.read(stored(&old, None)).await.unwrap();
    assert_eq!(token(&again, 299, 3), first);
    let second = token(&account, 300, 4);
    assert_ne!(second, first);
    assert_ne!(
        token(&account, 299, 5),
        second,
        "a clock that went back is not believed"
    );
    let rotated = opened.read(stored(&new, None)).await.unwrap();
    let under_new = token(&rotated, 0, 6);
    assert_ne!(under_new, first);
}
