//! The lightest HTTP/1.1 client that will do: one connection, kept alive, requests built
//! beforehand. It shares the machine with what it measures, so it parses no more than it needs.
//!
//! Not a client for anything but our own answers: they always have a `Content-Length`.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::Result;

/// The longest head of an answer that is waited for, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;

/// A connection to one server.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, until the next one.
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    /// It has a `Retry-After`.
    pub(crate) says_when: bool,
}

impl Reply<'_> {
    pub(crate) fn json(&self) -> Result<Value> {
        Ok(serde_json::from_slice(self.body)?)
    }
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        Self::over(TcpStream::connect(address).await?)
    }

    fn over(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(64 * 1024),
        })
    }

    /// From an address of this machine.
    pub(crate) async fn open_from(from: IpAddr, address: SocketAddr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        Self::over(socket.connect(address).await?)
    }

    /// Sends a whole request and reads the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Reply<'_>> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        let head = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the connection was closed before the answer".into());
            }
            let end = self.buffer.windows(4).position(|four| four == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None if self.buffer.len() > LONGEST_HEAD => return Err("no end of the head".into()),
                None => {}
            }
        };
        let text = std::str::from_utf8(self.buffer.get(..head).unwrap_or_default())?;
        let status: u16 = text.get(9..12).unwrap_or_default().parse()?;
        let length = content_length(text)?;
        let says_when =
            matches!(status, 429 | 503) && text.to_ascii_lowercase().contains("\r\nretry-after:");
        while self.buffer.len() < head + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the connection was closed within the answer".into());
            }
        }
        let body = self.buffer.get(head..head + length).unwrap_or_default();
        Ok(Reply {
            status,
            body,
            says_when,
        })
    }
}

fn content_length(head: &str) -> Result<usize> {
    for line in head.lines() {
        if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                return Ok(value.trim().parse()?);
            }
            if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err("the answer is chunked".into());
            }
        }
    }
    Ok(0)
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    use std::fmt::Write as _;
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n");
    // As other clients do; the bare answer and the server are asked alike.
    text.push_str("user-agent: side-by-side\r\naccept: */*\r\n");
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").ok();
    }
    write!(text, "content-length: {}\r\n\r\n{body}", body.len()).ok();
    text.into_bytes()
}

/// One request on a connection of its own; an answer that is not a success is an error.
pub(crate) async fn once(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Value> {
    let mut connection = Connection::open(address).await?;
    let reply = connection
        .exchange(&request(method, path, headers, body))
        .await?;
    if !(200..300).contains(&reply.status) {
        let text = String::from_utf8_lossy(reply.body);
        return Err(format!("{method} {path} answers {}: {text}", reply.status).into());
    }
    if reply.body.is_empty() {
        Ok(Value::Null)
    } else {
        reply.json()
    }
}
