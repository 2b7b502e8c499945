//! Local mode: which requests come from this machine and from no page of a stranger's.
//!
//! The listener is on loopback, but a browser on the same machine carries out what any page says,
//! and a proxy or tunnel brings the world in. A page of another site shows in `Origin`, one whose
//! name was turned to 127.0.0.1 (DNS rebinding) in `Host`, a proxy in the headers it adds.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderValue, Uri, header, uri::Authority};
use url::{Host, Url};

/// What proxies and tunnels add. One that adds none of them, and calls us by a loopback name, is
/// not seen: the documentation warns of putting any before a node in local mode.
const RELAYED: [&str; 6] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Whether the request is one that local mode answers without a token.
pub(super) fn is_from_this_machine(
    headers: &HeaderMap,
    uri: &Uri,
    address: Option<SocketAddr>,
) -> bool {
    let peer = address.is_some_and(|address| address.ip().to_canonical().is_loopback());
    let relayed = RELAYED.iter().any(|name| headers.contains_key(*name));
    peer && !relayed && is_asked_by_a_local_name(headers, uri) && is_of_a_local_page(headers)
}

/// The page that asks, where there is one and it is on this machine: it may read the answer.
pub(super) fn local_page(headers: &HeaderMap) -> Option<&HeaderValue> {
    let origin = only(headers, &header::ORIGIN)?;
    let url = Url::parse(origin.to_str().ok()?).ok()?;
    let web = matches!(url.scheme(), "http" | "https");
    let local = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    };
    (web && local).then_some(origin)
}

fn is_asked_by_a_local_name(headers: &HeaderMap, uri: &Uri) -> bool {
    let host = only(headers, &header::HOST).and_then(|host| host.to_str().ok());
    let named = host.is_some_and(|host| host.parse().is_ok_and(|host| is_local(&host)));
    // A target in absolute form goes before Host (RFC 9112 section 3.2.2).
    named && uri.authority().is_none_or(is_local)
}

fn is_local(authority: &Authority) -> bool {
    let host = authority.host();
    let ip = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Programs name no page. Browsers do, in `Origin` where anything could change, and say of the rest
/// whether another site is behind it.
fn is_of_a_local_page(headers: &HeaderMap) -> bool {
    if headers.contains_key(header::ORIGIN) {
        return local_page(headers).is_some();
    }
    headers
        .get("sec-fetch-site")
        .is_none_or(|site| site != "cross-site")
}

/// The header's value; `None` when there is none, or more than one.
fn only<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    first.filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn asks(pairs: &[(&'static str, &'static str)], target: &str, peer: &str) -> bool {
        let address = peer.parse().ok();
        is_from_this_machine(&headers(pairs), &target.parse().unwrap(), address)
    }

    #[test]
    fn programs_and_pages_of_this_machine_are_let_in() {
        for pairs in [
            &[("host", "localhost:8080")][..],
            &[("host", "LOCALHOST")],
            &[("host", "127.0.0.1:8080")],
            &[("host", "127.1.2.3")],
            &[("host", "[::1]:8080")],
            &[
                ("host", "localhost:8080"),
                ("origin", "http://localhost:3000"),
            ],
            &[
                ("host", "127.0.0.1:8080"),
                ("origin", "http://localhost:3000"),
                ("sec-fetch-site", "cross-site"),
            ],
            &[("host", "localhost"), ("origin", "https://127.0.0.1")],
            &[("host", "localhost"), ("origin", "http://[::1]:5173")],
            &[("host", "localhost"), ("sec-fetch-site", "same-origin")],
            &[("host", "localhost"), ("sec-fetch-site", "none")],
        ] {
            for peer in ["127.0.0.1:999", "[::1]:999", "[::ffff:127.0.0.1]:999"] {
                assert!(asks(pairs, "/api/calls", peer), "{pairs:?} {peer}");
            }
        }
        let host = [("host", "localhost")];
        assert!(asks(
            &host,
            "http://localhost:8080/api/calls",
            "127.0.0.1:9"
        ));
    }

    #[test]
    fn strangers_pages_names_and_proxies_are_not() {
        for pairs in [
            // Rebinding, and names that only look local.
            &[][..],
            &[("host", "evil.example:8080")],
            &[("host", "localhost.evil.example")],
            &[("host", "127.0.0.1.evil.example")],
            &[("host", "user@localhost.evil.example")],
            &[("host", "0.0.0.0:8080")],
            &[("host", "192.0.2.1")],
            &[("host", "localhost"), ("host", "evil.example")],
            // Other pages.
            &[("host", "localhost"), ("origin", "https://evil.example")],
            &[
                ("host", "localhost"),
                ("origin", "http://localhost.evil.example"),
            ],
            &[("host", "localhost"), ("origin", "null")],
            &[("host", "localhost"), ("origin", "")],
            &[("host", "localhost"), ("origin", "file://localhost")],
            &[
                ("host", "localhost"),
                ("origin", "http://localhost"),
                ("origin", "https://evil.example"),
            ],
            &[("host", "localhost"), ("sec-fetch-site", "cross-site")],
            // Proxies.
            &[("host", "localhost"), ("x-forwarded-for", "192.0.2.1")],
            &[("host", "localhost"), ("forwarded", "for=192.0.2.1")],
            &[("host", "localhost"), ("via", "1.1 proxy")],
        ] {
            assert!(!asks(pairs, "/api/calls", "127.0.0.1:9"), "{pairs:?}");
        }
        let host = [("host", "localhost")];
        assert!(!asks(&host, "http://evil.example/api/calls", "127.0.0.1:9"));
        assert!(!asks(&host, "/api/calls", "192.0.2.1:9"));
        assert!(!asks(&host, "/api/calls", "unknown"));
    }
}
