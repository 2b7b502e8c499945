//! A Bot API that does what a test says: one request for each connection, as it comes.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use onhook::ambient::Tasks;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What is done with a request.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answered with this status and body.
    Answer(u16, Value),
    /// Read, and the connection cut without an answer.
    Cut,
}

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub body: Value,
    /// It was answered with success.
    pub taken: bool,
}

#[derive(Clone)]
pub struct BotApi {
    pub address: SocketAddr,
    next: Arc<Mutex<VecDeque<Act>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl BotApi {
    /// Takes every message, unless something else is said.
    pub async fn start(tasks: &Tasks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let api = Self {
            address: listener.local_addr().expect("an address"),
            next: Arc::default(),
            asked: Arc::default(),
        };
        let (serving, stop) = (api.clone(), tasks.clone());
        drop(tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = stop.stopping() => return,
                    accepted = listener.accept() => accepted,
                };
                if let Ok((stream, _)) = accepted {
                    serving.serve(stream).await;
                }
            }
        }));
        api
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next requests, in order.
    pub fn then(&self, acts: impl IntoIterator<Item = Act>) {
        self.next.lock().expect("acts").extend(acts);
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("asked").clone()
    }

    /// The texts of the messages that were taken.
    pub fn taken(&self) -> Vec<String> {
        let asked = self.asked().into_iter().filter(|asked| asked.taken);
        asked
            .map(|asked| asked.body["text"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        let body_at = loop {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
            let mut more = [0; 4096];
            match stream.read(&mut more).await {
                Ok(read) if read > 0 => bytes.extend(more.iter().take(read)),
                _ => return,
            }
        };
        let head = String::from_utf8_lossy(&bytes[..body_at]).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
        while bytes.len() < body_at + length {
            let mut more = [0; 4096];
            match stream.read(&mut more).await {
                Ok(read) if read > 0 => bytes.extend(more.iter().take(read)),
                _ => return,
            }
        }
        let line = String::from_utf8_lossy(&bytes)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        let act = self.next.lock().expect("acts").pop_front();
        let ok = json!({"ok": true, "result": {"message_id": 1}});
        let act = act.unwrap_or(Act::Answer(200, ok));
        let taken = matches!(act, Act::Answer(200, _));
        self.asked.lock().expect("asked").push(Asked {
            path: line.split(' ').nth(1).unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&bytes[body_at..]).expect("JSON"),
            taken,
        });
        if let Act::Answer(status, body) = act {
            let body = body.to_string();
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.ok();
        }
    }
}
