//! What holds on every listener, and what only the operators' has.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    app::TestApp,
    client::TestClient,
    raw::{self, exchange},
};

/// More than the operators' listener takes at once.
const CROWD: usize = 80;

fn listeners(app: &TestApp) -> [(&'static str, SocketAddr); 2] {
    [
        ("public", app.node.address),
        ("operators'", app.node.operator_address),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_operators_is_on_their_own_listener_and_nothing_else_is() {
    let app = TestApp::by_hand().await;
    let operators = format!("http://{}", app.node.operator_address);
    let operators = TestClient::new(&operators, Some(&app.tenant.token));
    for (path, public, of_operators) in [
        ("/metrics", 404, 200),
        ("/healthz", 200, 200),
        ("/readyz", 200, 200),
        ("/api/v1/calls", 200, 404),
        ("/api/v1/openapi.json", 200, 404),
        ("/docs/", 200, 404),
    ] {
        assert_eq!(app.client.get(path).await.status, public, "{path}");
        assert_eq!(operators.get(path).await.status, of_operators, "{path}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_long_are_refused_on_every_listener() {
    let app = TestApp::by_hand().await;
    let long = "x".repeat(128 * 1024);
    let names: Vec<String> = (0..150).map(|number| format!("x-{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    for (which, address) in listeners(&app) {
        for (what, headers) in [
            ("a long header", vec![("x-long", long.as_str())]),
            ("many headers", many.clone()),
        ] {
            let request = raw::request("GET", b"/readyz", &headers, b"");
            let reply = exchange(address, &request).await;
            assert!(
                [400, 431].contains(&reply.status),
                "{which}, {what}: {reply:?}"
            );
        }
        let reply = exchange(address, &raw::request("GET", b"/readyz", &[], b"")).await;
        assert_eq!(reply.status, 200, "{which}");
    }
    app.stop().await;
}

/// Sends the beginning of a request and waits for the server to give up.
async fn unfinished(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nhost: local")
        .await
        .expect("sent");
    let mut answer = Vec::new();
    // However it ends: what was read counts.
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_never_finishes_its_requests_is_closed_on_every_listener() {
    let app = TestApp::running().await;
    for (which, address) in listeners(&app) {
        let crowd = futures_util::future::join_all((0..CROWD).map(|_| unfinished(address)));
        let after = async {
            // Whoever comes behind a crowd that fills the listener is answered when it is gone.
            exchange(address, &raw::request("GET", b"/readyz", &[], b"")).await
        };
        let (crowd, reply) = tokio::join!(crowd, after);
        assert_eq!(reply.status, 200, "{which}");
        for answer in crowd {
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
                "{which}: {answer}"
            );
        }
    }
    app.stop().await;
}
