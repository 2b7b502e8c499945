//! Where an account's API is: its provider's own host, or another that its owner names.

use reqwest::Url;

use super::Account;

/// The base that `account`'s requests go below; `own` is its provider's. Ends where a path can be
/// added, and holds no query, fragment or credentials.
///
/// # Errors
/// What is wrong with the account's setting, for its owner. Credentials never cross a network in
/// clear: anything but `https` leads to this machine.
pub(super) fn of(account: &Account, own: &str) -> Result<Url, String> {
    let base = account.api_base_url.as_deref().unwrap_or(own);
    let mut url =
        Url::parse(base).map_err(|_| "the account's API base URL is not a URL".to_owned())?;
    if url.scheme() != "https" && !is_loopback(&url) {
        return Err("the account's API base URL must be https".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the account's API base URL must hold no credentials".to_owned());
    }
    if url.cannot_be_a_base() {
        return Err("the account's API base URL has no path".to_owned());
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

/// Whether `url` leads to this machine, where clear text crosses no network.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether the websocket `url` may be given to a provider: encrypted, or on this machine.
pub(super) fn is_safe_websocket(url: &Url) -> bool {
    url.scheme() == "wss" || (url.scheme() == "ws" && is_loopback(url))
}
