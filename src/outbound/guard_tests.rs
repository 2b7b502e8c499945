//! Every address and every spelling that must not be reached, and that nothing connects to one,
//! whatever a name server answers.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Bytes;
use reqwest::{Method, Url, header::HeaderMap};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::{
    ambient::Tasks,
    outbound::{Client, Failure, Options, Request, resolver::Lookup},
};

/// The blocks of the special-purpose registries (IANA, RFC 6890 and its updates), multicast, and
/// what is not allocated; of each the first, a middle and the last address are tried.
const SPECIAL: [&str; 47] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0/104",
    "::ffff:10.0.0.0/104",
    "::ffff:127.0.0.0/104",
    "::ffff:169.254.0.0/112",
    "::ffff:172.16.0.0/108",
    "::ffff:192.168.0.0/112",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:db8::/32",
    "2002::/16",
    "2002:7f00:1::/48",
    "2002:a9fe:a9fe::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// Single addresses that people attack with.
const INFAMOUS: [&str; 10] = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "192.0.0.192",
    "fd00:ec2::254",
    "fe80::a9fe:a9fe",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "::169.254.169.254",
];

fn samples(block: &str) -> Vec<IpAddr> {
    let net: ipnet::IpNet = block.parse().unwrap();
    let middle = match (net.network(), net.broadcast()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            IpAddr::V4(Ipv4Addr::from(u32::midpoint(first.into(), last.into())))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            IpAddr::V6(Ipv6Addr::from(u128::midpoint(first.into(), last.into())))
        }
        (first, _) => first,
    };
    vec![net.network(), middle, net.broadcast()]
}

fn forbidden() -> BTreeSet<IpAddr> {
    let infamous = INFAMOUS.iter().map(|text| text.parse().unwrap());
    SPECIAL
        .iter()
        .flat_map(|block| samples(block))
        .chain(infamous)
        .collect()
}

#[test]
fn no_address_of_a_special_block_passes() {
    for address in forbidden() {
        assert!(check(address, Reach::Public).is_err(), "{address}");
        if !address.to_canonical().is_loopback() {
            assert!(
                check(address, Reach::PublicAndLoopback).is_err(),
                "{address}"
            );
        }
    }
}

#[test]
fn public_addresses_pass() {
    for text in [
        "8.8.8.8",
        "1.1.1.1",
        "172.32.0.1",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
    ] {
        assert_eq!(
            check(text.parse().unwrap(), Reach::Public),
            Ok(()),
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
        assert!(check(text.parse().unwrap(), Reach::Public).is_err());
    }
}

/// Every spelling of an IPv4 address that some resolver or parser takes.
fn spellings(address: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = address.octets();
    let number = u32::from(address);
    let low = u32::from_be_bytes([0, b, c, d]);
    vec![
        address.to_string(),
        number.to_string(),
        format!("{number:#x}"),
        format!("{number:#X}"),
        format!("0{number:o}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("000000{a:o}.{b}.{c}.{d}"),
        format!("{a}.{low}"),
        format!("{a:#x}.{low:#x}"),
        format!("{a}.{b}.{}", u16::from_be_bytes([c, d])),
        format!("{address}."),
        format!(
            "%{:02x}{}",
            address.to_string().as_bytes()[0],
            &address.to_string()[1..]
        ),
        format!("[::ffff:{address}]"),
        format!("[::ffff:{a:02x}{b:02x}:{c:02x}{d:02x}]"),
        format!("[64:ff9b::{address}]"),
        format!("[2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1]"),
        format!("[::{address}]"),
        // Full-width digits and full stops, which a URL's host is mapped from (UTS 46).
        address.to_string().chars().map(full_width).collect(),
    ]
}

fn full_width(c: char) -> char {
    match c {
        '.' => '\u{3002}',
        digit => char::from_u32(u32::from(digit) - u32::from('0') + 0xFF10).unwrap(),
    }
}

#[test]
fn no_spelling_of_an_address_gets_through() {
    let mut tried = 0;
    for address in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
    ] {
        for host in spellings(address.parse().unwrap()) {
            for url in [
                format!("http://{host}/"),
                format!("https://{host}:8443/latest/meta-data"),
            ] {
                tried += 1;
                // What is no URL is sent nowhere either.
                let Ok(parsed) = Url::parse(&url) else {
                    continue;
                };
                // A host that is not read as an address is a name, which is checked when resolved.
                let refused = check_url(&parsed, Reach::Public).is_err();
                assert!(refused, "{url} is {:?}", parsed.host());
            }
        }
    }
    for address in forbidden() {
        let host = match address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        };
        tried += 1;
        let url = Url::parse(&format!("https://{host}/")).unwrap();
        assert!(check_url(&url, Reach::Public).is_err(), "{url}");
    }
    assert!(tried >= 300, "{tried}");
}

#[test]
fn other_schemes_credentials_and_ports_of_other_protocols_are_refused() {
    for text in [
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://example.com/",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://:password@example.com/",
        "https://example.com:22/",
        "https://example.com:25/",
        "http://example.com:6667/",
        "https://example.com:0/",
    ] {
        let url = Url::parse(text).unwrap();
        assert!(check_url(&url, Reach::PublicAndLoopback).is_err(), "{text}");
    }
    for text in [
        "https://example.com/",
        "https://example.com:8443/",
        "http://example.com:9000/",
    ] {
        let url = Url::parse(text).unwrap();
        assert_eq!(check_url(&url, Reach::Public), Ok(()), "{text}");
    }
}

/// Answers with a good address and with bad ones in turn, as a name server that is an attacker's.
struct Flipping {
    asked: AtomicUsize,
    bad: Vec<IpAddr>,
    good: IpAddr,
}

impl Flipping {
    fn new() -> Arc<Self> {
        let bad = forbidden().into_iter();
        Arc::new(Self {
            asked: AtomicUsize::new(0),
            bad: bad
                .filter(|address| !address.to_canonical().is_loopback())
                .collect(),
            good: Ipv4Addr::LOCALHOST.into(),
        })
    }
}

impl Lookup for Flipping {
    fn lookup(&self, _: String) -> crate::outbound::resolver::Found {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let bad = self.bad[turn % self.bad.len()];
        let addresses = match turn % 3 {
            0 => vec![self.good],
            1 => vec![bad],
            // A good one first: none of them is used.
            _ => vec![self.good, bad],
        };
        let found = addresses
            .into_iter()
            .map(|ip| SocketAddr::new(ip, 0))
            .collect();
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// Answers each connection once with 204 and closes it, and counts them.
async fn server() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    drop(Tasks::default().spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut buffer = [0; 4096];
            drop(stream.read(&mut buffer).await);
            let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            drop(stream.write_all(answer).await);
        }
    }));
    (port, accepted)
}

fn request(url: &str) -> Request {
    Request {
        method: Method::POST,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"{}"),
    }
}

fn options() -> Options {
    Options {
        reach: Reach::PublicAndLoopback,
        connect_timeout: Duration::from_secs(5),
        idle_per_host: 0,
        https_only: false,
    }
}

/// 10,000 flips. Were a name resolved once to be checked and again to connect, or another of its
/// addresses tried, some request would end as one that was not answered.
#[tokio::test]
async fn a_name_that_changes_between_check_and_connect_leads_nowhere_else() {
    let (port, accepted) = server().await;
    let flipping = Flipping::new();
    let client = Client::with_lookup(options(), Arc::clone(&flipping) as _).unwrap();
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..10_000 {
        let url = format!("http://flips.example:{port}/hook");
        match client
            .send(request(&url), Duration::from_secs(30), 100)
            .await
        {
            Ok(answer) => {
                assert_eq!(answer.status, 204);
                answered += 1;
            }
            Err(Failure::Forbidden(_)) => refused += 1,
            Err(other) => panic!("something was connected to: {other}"),
        }
    }
    assert_eq!(
        flipping.asked.load(Ordering::SeqCst),
        10_000,
        "each name is resolved once"
    );
    assert_eq!((answered, refused), (3334, 6666));
    assert_eq!(accepted.load(Ordering::SeqCst), answered);
}

#[tokio::test]
async fn what_must_be_https_is_not_sent_in_clear() {
    let (port, accepted) = server().await;
    let client = Client::new(Options {
        https_only: true,
        ..options()
    })
    .unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    let sent = client
        .send(request(&url), Duration::from_secs(30), 100)
        .await;
    assert!(matches!(sent, Err(Failure::Forbidden(_))), "{sent:?}");
    assert_eq!(accepted.load(Ordering::SeqCst), 0);
}
