//! The other processes of the benchmark: its own program, run again with a role. Each prints one
//! line of JSON with its addresses and ends when its standard input does, that is with the
//! benchmark, however that ends.

use std::{
    collections::HashMap,
    io::Read as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Uri},
    routing::get,
};
use onhook::{
    ambient::{Ambient, Clock as _, SystemClock},
    cli::terminal,
    domain::Timestamp,
    simulator::Simulator,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};

use crate::Result;

const ANY_PORT: &str = "127.0.0.1:0";

/// The bare answer that everything is compared with.
pub(crate) const HELLO: &str = "hello";
/// The provider and the customer.
pub(crate) const STAGE: &str = "stage";

/// Receivers that answer at once, after 2 s, or never.
pub(crate) const HOOKS: &str = "hooks";

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
        HOOKS => {
            let listener = TcpListener::bind(ANY_PORT).await?;
            terminal::say(&json!({"hooks": listener.local_addr()?}).to_string());
            serve(listener, hooks()).await
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

/// How late events came to healthy receivers, in milliseconds, by receiver and event.
type Late = Arc<Mutex<HashMap<String, u64>>>;

/// `GET /count`: how many came; `GET /late`: how late they were.
fn hooks() -> Router {
    let late = Late::default();
    let (counted, told) = (Arc::clone(&late), Arc::clone(&late));
    let count = move || async move { lock(&counted).len().to_string() };
    Router::new()
        .route("/count", get(count))
        .route(
            "/late",
            get(move || async move { summary(&told).to_string() }),
        )
        .fallback(move |uri: Uri, headers: HeaderMap, event: Bytes| {
            let late = Arc::clone(&late);
            async move { take(&late, &uri, &headers, &event).await }
        })
}

async fn take(late: &Late, uri: &Uri, headers: &HeaderMap, event: &[u8]) {
    if uri.path().starts_with("/dead") {
        std::future::pending::<()>().await;
    }
    if uri.path().starts_with("/slow") {
        tokio::time::sleep(Duration::from_secs(2)).await;
        return;
    }
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    let at = serde_json::from_slice::<Value>(event).ok();
    let at = at.and_then(|event| event.get("timestamp")?.as_str()?.parse::<Timestamp>().ok());
    let Some((id, at)) = id.zip(at) else { return };
    let millis = SystemClock::default().now().since(at).whole_milliseconds();
    let millis = u64::try_from(millis).unwrap_or_default();
    let key = format!("{} {id}", uri.path());
    lock(late).entry(key).or_insert(millis);
}

fn summary(late: &Late) -> Value {
    let mut millis: Vec<u64> = lock(late).values().copied().collect();
    millis.sort_unstable();
    let at = |percent: usize| {
        let index = (millis.len() * percent).div_ceil(100).saturating_sub(1);
        millis.get(index).copied().unwrap_or_default()
    };
    json!({"distinct": millis.len(), "p50": at(50), "p99": at(99), "last": at(100)})
}

fn lock(late: &Late) -> std::sync::MutexGuard<'_, HashMap<String, u64>> {
    late.lock().unwrap_or_else(PoisonError::into_inner)
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
