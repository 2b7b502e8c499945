//! The other processes of the benchmark: its own program, run again with a role. Each prints one
//! line of JSON with its addresses and ends when its standard input does, that is with the
//! benchmark, however that ends.

use std::{
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use axum::{Router, body::Bytes, routing::get};
use onhook::{ambient::Ambient, cli::terminal, simulator::Simulator};
use serde_json::json;
use tokio::{net::TcpListener, sync::oneshot};

use crate::Result;

const ANY_PORT: &str = "127.0.0.1:0";

/// The bare answer that everything is compared with.
pub(crate) const HELLO: &str = "hello";
/// The provider and the customer.
pub(crate) const STAGE: &str = "stage";

/// Plays the role until standard input ends.
pub(crate) async fn play(role: &str) -> Result<()> {
    match role {
        HELLO => {
            let router = Router::new().route("/api/v1/calls", get(|| async { "hello" }));
            let listener = TcpListener::bind(ANY_PORT).await?;
            terminal::say(&json!({"hello": listener.local_addr()?}).to_string());
            serve(listener, router).await
        }
        STAGE => {
            let simulator =
                Simulator::start(ANY_PORT.parse()?, Ambient::system(), Vec::new()).await?;
            let listener = TcpListener::bind(ANY_PORT).await?;
            let addresses =
                json!({"simulator": simulator.base_url(), "sink": listener.local_addr()?});
            terminal::say(&addresses.to_string());
            serve(listener, sink()).await
        }
        _ => Err(format!("there is no role {role}").into()),
    }
}

/// Takes every event; `GET /count` tells how many there were.
fn sink() -> Router {
    let received = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&received);
    Router::new()
        .route(
            "/count",
            get(move || async move { told.load(Ordering::Relaxed).to_string() }),
        )
        .fallback(move |_event: Bytes| async move {
            received.fetch_add(1, Ordering::Relaxed);
        })
}

/// Serves until standard input ends.
async fn serve(listener: TcpListener, router: Router) -> Result<()> {
    let (ended, end) = oneshot::channel();
    thread::spawn(move || {
        // Nobody writes; whatever the reading comes to, it comes to the end.
        ended.send(std::io::stdin().read(&mut [0]).map(drop)).ok();
    });
    tokio::select! {
        served = axum::serve(listener, router) => Ok(served?),
        ended = end => Ok(ended??),
    }
}
