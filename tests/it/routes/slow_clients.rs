//! Clients that say nothing, or say it slowly.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use super::steps::new_client;
use crate::support::app::TestApp;

const OF_EACH: usize = 200;

/// Connects and says nothing; ends when the server closes.
async fn silent(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let mut byte = [0];
    assert!(
        matches!(stream.read(&mut byte).await, Ok(0) | Err(_)),
        "an answer to nothing"
    );
}

/// Sends a request head, a byte every 500 ms; ends when the server closes.
async fn trickling(address: SocketAddr) {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut reader, mut writer) = stream.into_split();
    let mut beat = tokio::time::interval(Duration::from_millis(500));
    let head = "GET /api/v1/calls HTTP/1.1\r\nhost: localhost\r\n";
    let send = async {
        for byte in head.bytes().cycle() {
            beat.tick().await;
            if writer.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = send => {}
        _ = reader.read_to_end(&mut answer) => {}
    }
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
}

/// Sends a request whose body never comes whole; returns the answer once the server closes.
async fn half_a_body(address: SocketAddr, token: String) -> String {
    let request = format!(
        "POST /api/v1/calls HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: 10\r\n\r\n{{"
    );
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // However it ends: what was read counts.
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn four_hundred_slow_clients_hold_nobody_up_and_are_closed() {
    let app = TestApp::running().await;
    let address = app.node.address;
    let mut slow = JoinSet::new();
    let half = timeout(
        Duration::from_secs(20),
        half_a_body(address, app.tenant.token.clone()),
    );
    let half = app.ambient.tasks.spawn(half);
    for _ in 0..OF_EACH {
        slow.spawn(silent(address));
        slow.spawn(trickling(address));
    }

    // Requests of others, on connections of their own, while those are open.
    let id = timeout(Duration::from_secs(5), app.place_answered())
        .await
        .expect("a call");
    for _ in 0..20 {
        let client = new_client(&app);
        let path = format!("/api/v1/calls/{id}");
        let reply = timeout(Duration::from_secs(2), client.get(&path)).await;
        assert_eq!(reply.expect("an answer in time").status, 200);
    }
    let path = format!("/api/v1/calls/{id}/terminate");
    let ended = timeout(Duration::from_secs(2), app.client.post_nothing(&path)).await;
    assert_eq!(ended.expect("an answer in time").status, 200);

    let closed = async {
        let mut closed = 0;
        while let Some(ended) = slow.join_next().await {
            ended.expect("a client");
            closed += 1;
        }
        closed
    };
    assert_eq!(
        timeout(Duration::from_secs(10), closed)
            .await
            .expect("all closed"),
        2 * OF_EACH
    );

    // A body that never comes is given up as well, after a while, and says so.
    let answer = half.await.expect("a client").expect("closed");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains(r#""code":"REQUEST_TIMEOUT""#), "{answer}");

    // A client that has said nothing yet does not keep the node from stopping.
    let quiet = TcpStream::connect(address).await.expect("a connection");
    timeout(Duration::from_secs(3), app.stop())
        .await
        .expect("stopped");
    drop(quiet);
}
