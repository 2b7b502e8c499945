//! Requests that no well-behaved client can send.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// An answer as it came over the wire; header names in lower case.
#[derive(Clone, Debug)]
pub struct RawReply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl RawReply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Sends these bytes and reads until the server closes, which they should ask for. What the server
/// does not take any more is not sent.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> RawReply {
    let answered = async {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (mut reader, mut writer) = stream.into_split();
        let mut bytes = Vec::new();
        let (_sent, read) = tokio::join!(writer.write_all(request), reader.read_to_end(&mut bytes));
        (read.map_err(|error| error.to_string()), bytes)
    };
    let (read, bytes) = tokio::time::timeout(Duration::from_secs(30), answered)
        .await
        .expect("the server closes");
    let head = String::from_utf8_lossy(request);
    let head = head.lines().next().unwrap_or_default();
    assert!(!bytes.is_empty(), "no answer to {head}: {read:?}");
    parse(&bytes)
}

/// `GET /` and the like, with a token and whatever else, closing afterwards.
pub fn request(method: &str, target: &[u8], headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} ").into_bytes();
    bytes.extend(target);
    bytes.extend(b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
    bytes.extend(body);
    bytes
}

fn parse(bytes: &[u8]) -> RawReply {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    let status = status
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(": "));
    RawReply {
        status: status.unwrap_or_else(|| panic!("not HTTP: {text}")),
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
        body: body.to_owned(),
    }
}
