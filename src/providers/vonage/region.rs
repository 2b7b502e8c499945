//! Pure: at which of their hosts a call is asked about.
//!
//! A call lives in one region, and the API of every other answers that there is no such call. The
//! answer webhook tells which one. The invariant: a token of ours goes to their own hosts or to the
//! account's own API address and to nobody else, whatever a webhook or the database says.

use reqwest::Url;

use crate::providers::{Account, base_url};

const API: &str = "https://api.nexmo.com";

/// The domains below which their API is, as `api-us-3.vonage.com` or `api.nexmo.com`.
const DOMAINS: [&str; 2] = [".vonage.com", ".nexmo.com"];

/// The host in `region_url`, when requests may go there.
pub(super) fn host(account: &Account, region_url: &str) -> Option<String> {
    let base = base_url::of(account, API).ok()?;
    let url = Url::parse(region_url).ok()?;
    let anonymous = url.username().is_empty() && url.password().is_none();
    let host = authority(&url)?;
    let own = url.scheme() == base.scheme() && authority(&base).as_deref() == Some(host.as_str());
    (anonymous && (own || is_regional(&url, &base))).then_some(host)
}

/// Where requests about a call go that `host` keeps; a host that is not one of theirs is as good as
/// none. The path ends where `/v1` is added.
///
/// # Errors
/// What is wrong with the account's setting, for its owner.
pub(super) fn base(account: &Account, host: Option<&str>) -> Result<Url, String> {
    let base = base_url::of(account, API)?;
    let regional = host
        .filter(|host| authority(&base).as_deref() != Some(*host))
        .and_then(|host| {
            let url = Url::parse(&format!("https://{host}")).ok()?;
            (authority(&url).as_deref() == Some(host)).then_some(url)
        })
        .filter(|url| is_regional(url, &base));
    Ok(regional.unwrap_or(base))
}

/// Whether `url` is another region of theirs. Only for accounts that are at Vonage itself: what a
/// simulator tells leads nowhere else.
fn is_regional(url: &Url, base: &Url) -> bool {
    url.scheme() == "https" && url.port().is_none() && is_theirs(url) && is_theirs(base)
}

fn is_theirs(url: &Url) -> bool {
    let Some(url::Host::Domain(name)) = url.host() else {
        return false;
    };
    DOMAINS.iter().any(|domain| {
        name.strip_suffix(domain)
            .is_some_and(|label| !label.is_empty() && !label.ends_with('.'))
    })
}

/// The host, with the port where it is not the usual one.
fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}
