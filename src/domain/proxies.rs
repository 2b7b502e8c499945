//! Who a request comes from when a proxy relays it.
//!
//! `X-Forwarded-For` is written from left to right: each proxy adds whom it was asked by. Whatever
//! stands left of what a trusted proxy added was said by somebody else, and anybody can say it. So
//! the list is read from the right, for as long as those who added to it are trusted.
//!
//! `Forwarded` (RFC 7239) says the same and is not read: a proxy that keeps one of the two passes
//! the other on as its client wrote it.

use std::net::{IpAddr, SocketAddr};

use super::grant::Sources;

/// The proxies whose word is taken. None of them: every client is whoever connects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Sources);

impl TrustedProxies {
    /// Reads addresses and networks in CIDR notation, separated by commas; `None` when one is
    /// neither, or everybody: then what a client makes up would be believed.
    pub fn parse(text: &str) -> Option<Self> {
        let networks: Vec<String> = text.split(',').map(|net| net.trim().to_owned()).collect();
        let everybody = networks.iter().any(|net| net.ends_with("/0"));
        let sources = Sources::parse(&networks).ok();
        sources.filter(|_| !everybody).map(Self)
    }

    /// The client of a request that `peer` brings: of those that the chain of trusted proxies names,
    /// the first that is none of them. Where the chain breaks (nothing is said, or what is said is no
    /// address), it is the last trusted proxy that is known. IPv4 addresses that are written as IPv6
    /// count as what they are.
    ///
    /// `forwarded_for` are the values of the header, in their order.
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        let mut client = peer.to_canonical();
        let mut named = forwarded_for.rev().flat_map(|value| value.rsplit(','));
        while self.0.allow(client) {
            match named.next().and_then(address) {
                Some(next) => client = next,
                None => break,
            }
        }
        client
    }
}

/// Some proxies add the port.
fn address(named: &str) -> Option<IpAddr> {
    let named = named.trim();
    let bare = named
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(named);
    let address = bare
        .parse()
        .or_else(|_| named.parse().map(|with_port: SocketAddr| with_port.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXIES: &str = "10.0.0.0/8, 192.0.2.1, 2001:db8:1::/48";

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_no_trusted_proxy() {
        let proxies = TrustedProxies::parse(PROXIES).unwrap();
        // Who connects, what the header says, who asks.
        let table: [(&str, &[&str], &str); 22] = [
            ("203.0.113.9", &[], "203.0.113.9"),
            // Nobody but a trusted proxy is believed.
            ("203.0.113.9", &["198.51.100.7"], "203.0.113.9"),
            ("203.0.113.9", &["10.0.0.1"], "203.0.113.9"),
            ("11.0.0.1", &["198.51.100.7"], "11.0.0.1"),
            ("127.0.0.1", &["198.51.100.7"], "127.0.0.1"),
            // One proxy, and what its client had written before it.
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["10.0.0.9, 198.51.100.7"], "198.51.100.7"),
            ("192.0.2.1", &["evil, ,;,198.51.100.7"], "198.51.100.7"),
            // Several, in one value or in several.
            (
                "10.0.0.1",
                &["198.51.100.7, 192.0.2.1, 10.9.9.9"],
                "198.51.100.7",
            ),
            (
                "10.0.0.1",
                &["1.1.1.1", "198.51.100.7", "192.0.2.1"],
                "198.51.100.7",
            ),
            (
                "10.0.0.1",
                &["198.51.100.7,192.0.2.2,10.9.9.9"],
                "192.0.2.2",
            ),
            // IPv6, with and without port, and IPv4 in its clothes.
            ("2001:db8:1::5", &["2001:db8:2::7"], "2001:db8:2::7"),
            ("2001:db8:2::5", &["2001:db8:3::7"], "2001:db8:2::5"),
            ("10.0.0.1", &["[2001:db8:2::7]:4711"], "2001:db8:2::7"),
            ("10.0.0.1", &["[2001:db8:2::7]"], "2001:db8:2::7"),
            ("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            (
                "::ffff:10.0.0.1",
                &["198.51.100.7, ::ffff:192.0.2.1"],
                "198.51.100.7",
            ),
            ("::ffff:203.0.113.9", &["198.51.100.7"], "203.0.113.9"),
            // The chain breaks: whoever is known last.
            ("10.0.0.1", &["198.51.100.7, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7, _hidden, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ];
        for (peer, header, client) in table {
            let seen = proxies.client(peer.parse().unwrap(), header.iter().copied());
            assert_eq!(seen.to_string(), client, "{peer} {header:?}");
        }
    }

    #[test]
    fn without_trusted_proxies_the_client_is_whoever_connects() {
        let nobody = TrustedProxies::default();
        for peer in ["127.0.0.1", "10.0.0.1", "2001:db8::1"] {
            let seen = nobody.client(peer.parse().unwrap(), ["198.51.100.7"].into_iter());
            assert_eq!(seen.to_string(), peer);
        }
    }

    #[test]
    fn what_is_neither_address_nor_network_or_is_everybody_is_no_list_of_proxies() {
        assert!(TrustedProxies::parse("127.0.0.1,::1").is_some());
        for bad in [
            "",
            "10.0.0.0/8,",
            "proxy.internal",
            "10.0.0.0/33",
            "*",
            "::/0",
        ] {
            assert_eq!(TrustedProxies::parse(bad), None, "{bad}");
        }
    }
}
