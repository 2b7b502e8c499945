//! Which addresses may be reached.
//!
//! A customer chooses the URLs that we call; none of them may lead into our own network. Every
//! address that a name resolves to is checked, the connection goes to a checked address, and a
//! redirect is never followed (server-side request forgery, CWE-918).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::Url;

/// How far a client reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Addresses of the public internet only.
    Public,
    /// Those and loopback: for `onhook dev` and tests, by explicit setting.
    PublicAndLoopback,
}

/// An address that must not be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a public address")]
pub struct ForbiddenAddress(pub IpAddr);

/// IPv4 blocks that are not globally reachable (IANA special-purpose registry), multicast and the
/// reserved rest.
const FORBIDDEN_V4: [(u32, u8); 17] = [
    (0x0000_0000, 8),  // 0.0.0.0/8 this network
    (0x0A00_0000, 8),  // 10.0.0.0/8 private
    (0x6440_0000, 10), // 100.64.0.0/10 shared
    (0x7F00_0000, 8),  // 127.0.0.0/8 loopback
    (0xA9FE_0000, 16), // 169.254.0.0/16 link-local, cloud metadata
    (0xAC10_0000, 12), // 172.16.0.0/12 private
    (0xC000_0000, 24), // 192.0.0.0/24 protocol assignments
    (0xC000_0200, 24), // 192.0.2.0/24 documentation
    (0xC01F_C400, 24), // 192.31.196.0/24 AS112
    (0xC034_C100, 24), // 192.52.193.0/24 AMT
    (0xC058_6300, 24), // 192.88.99.0/24 6to4 relay
    (0xC0A8_0000, 16), // 192.168.0.0/16 private
    (0xC612_0000, 15), // 198.18.0.0/15 benchmarking
    (0xC633_6400, 24), // 198.51.100.0/24 documentation
    (0xCB00_7100, 24), // 203.0.113.0/24 documentation
    (0xE000_0000, 4),  // 224.0.0.0/4 multicast
    (0xF000_0000, 4),  // 240.0.0.0/4 reserved, broadcast
];

/// Only `2000::/3` is allocated; within it, these blocks tunnel to other addresses or lead nowhere.
const FORBIDDEN_V6_GLOBAL: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// # Errors
/// [`ForbiddenAddress`] when `address` is not public, or loopback where that is not allowed.
pub fn check(address: IpAddr, reach: Reach) -> Result<(), ForbiddenAddress> {
    let address = address.to_canonical();
    let allowed = match address {
        _ if address.is_loopback() => reach == Reach::PublicAndLoopback,
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    };
    if allowed {
        Ok(())
    } else {
        Err(ForbiddenAddress(address))
    }
}

/// Checks what a URL says by itself; names are checked when they are resolved.
///
/// # Errors
/// What is wrong, without the URL.
pub fn check_url(url: &Url, reach: Reach) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http and https are spoken".to_owned());
    }
    match url.host() {
        None => Err("the URL names no host".to_owned()),
        Some(url::Host::Domain(_)) => Ok(()),
        Some(url::Host::Ipv4(v4)) => check(v4.into(), reach).map_err(|error| error.to_string()),
        Some(url::Host::Ipv6(v6)) => check(v6.into(), reach).map_err(|error| error.to_string()),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !FORBIDDEN_V4.iter().any(|(base, length)| {
        Ipv4Net::new(Ipv4Addr::from(*base), *length).is_ok_and(|net| net.contains(&address))
    })
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // NAT64 (RFC 6052) and others outside 2000::/3 embed IPv4 addresses or are local.
    let global = address
        .octets()
        .first()
        .is_some_and(|octet| octet & 0xE0 == 0x20);
    global
        && !FORBIDDEN_V6_GLOBAL.iter().any(|(base, length)| {
            Ipv6Net::new(*base, *length).is_ok_and(|net| net.contains(&address))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_pass() {
        let public = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"];
        for text in public {
            assert_eq!(
                check(text.parse().unwrap(), Reach::Public),
                Ok(()),
                "{text}"
            );
        }
        let forbidden = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.7",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:0:1::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "fec0::1",
            "::10.0.0.1",
            "100::1",
        ];
        for text in forbidden {
            assert!(
                check(text.parse().unwrap(), Reach::Public).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn loopback_passes_only_by_explicit_setting() {
        for text in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(
                check(text.parse().unwrap(), Reach::PublicAndLoopback),
                Ok(())
            );
        }
        assert!(check("10.0.0.1".parse().unwrap(), Reach::PublicAndLoopback).is_err());
    }

    #[test]
    fn odd_spellings_of_an_address_are_seen_through() {
        for text in [
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://0x7f.1/",
            "http://[::1]/",
        ] {
            let url = Url::parse(text).unwrap();
            assert!(check_url(&url, Reach::Public).is_err(), "{text}");
        }
        assert!(check_url(&Url::parse("file:///etc/passwd").unwrap(), Reach::Public).is_err());
    }
}
