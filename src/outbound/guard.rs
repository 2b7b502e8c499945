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

/// Ports of other protocols, which a request could be made to speak: the Fetch standard's list of
/// bad ports ("port blocking").
const FORBIDDEN_PORTS: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
    6668, 6669, 6679, 6697, 10080,
];

/// Checks what a URL says by itself; names are checked when they are resolved.
///
/// # Errors
/// What is wrong, without the URL.
pub fn check_url(url: &Url, reach: Reach) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http and https are spoken".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL carries credentials".to_owned());
    }
    if url
        .port()
        .is_some_and(|port| FORBIDDEN_PORTS.contains(&port))
    {
        return Err("the port is one of another protocol".to_owned());
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
#[path = "guard_tests.rs"]
mod tests;
