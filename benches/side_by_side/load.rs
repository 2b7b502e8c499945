//! Clients that send one request after the other, and how long each took.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    Result,
    client::Connection,
    machine::{self, Seen, Watch},
};

/// Sent before the clock starts, so that connections, caches and prepared statements are there.
pub(crate) const WARM_UP: Duration = Duration::from_millis(500);

/// What the clients send.
pub(crate) enum Requests {
    /// The same again and again.
    Same(Vec<u8>),
    /// Each once; the load ends with the last one.
    Each(Vec<Vec<u8>>, AtomicUsize),
}

impl Requests {
    pub(crate) fn each(requests: Vec<Vec<u8>>) -> Self {
        Self::Each(requests, AtomicUsize::new(0))
    }

    fn next(&self) -> Option<&[u8]> {
        match self {
            Self::Same(request) => Some(request),
            Self::Each(requests, next) => requests
                .get(next.fetch_add(1, Ordering::Relaxed))
                .map(Vec::as_slice),
        }
    }

    /// How many of [`Requests::Each`] were sent.
    pub(crate) fn sent(&self) -> usize {
        match self {
            Self::Same(_) => 0,
            Self::Each(requests, next) => next.load(Ordering::Relaxed).min(requests.len()),
        }
    }
}

/// What is measured, and how.
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    /// The process whose processor time counts.
    pub(crate) pid: u32,
    pub(crate) clients: usize,
    /// How long, after the warm-up.
    pub(crate) duration: Duration,
}

/// What came of a load.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) count: u32,
    /// Answers that are not a success with status 200.
    pub(crate) failed: u32,
    /// Of those, what an overloaded server must not say: neither 429 nor 503 with `Retry-After`.
    pub(crate) wrong: u32,
    pub(crate) elapsed: Duration,
    /// Processor time of the measured process.
    pub(crate) cpu: Duration,
    pub(crate) seen: Seen,
    /// What the first answer that is no success said.
    pub(crate) complaint: Option<String>,
    /// Sorted.
    latencies: Vec<Duration>,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.count) / self.elapsed.as_secs_f64()
    }

    /// Microseconds of the measured process for one request.
    pub(crate) fn cpu_micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / f64::from(self.count.max(1))
    }

    /// Microseconds of the database server for one request.
    pub(crate) fn postgres_micros(&self) -> f64 {
        self.seen.postgres.as_secs_f64() * 1e6 / f64::from(self.count.max(1))
    }

    /// Answers that took longer.
    pub(crate) fn later_than(&self, limit: Duration) -> Result<u32> {
        let late = self.latencies.iter().filter(|latency| **latency > limit);
        Ok(u32::try_from(late.count())?)
    }

    /// The latency that `percent` of the requests do not exceed, in milliseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = (self.latencies.len() * percent / 100).min(last);
        self.latencies
            .get(at)
            .map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }
}

struct Sample {
    ended: Instant,
    took: Duration,
    /// Of an answer that is no success, what it said.
    complaint: Option<String>,
    wrong: bool,
}

/// Runs the load until its time is over or its requests are used up.
pub(crate) async fn run(load: &Load, requests: &Arc<Requests>) -> Result<Outcome> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut connections = Vec::new();
    for _ in 0..load.clients {
        connections.push(Connection::open(load.address).await?);
    }
    let mut clients = JoinSet::new();
    for connection in connections {
        clients.spawn(client(connection, Arc::clone(requests), Arc::clone(&stop)));
    }
    tokio::time::sleep(WARM_UP).await;
    let watch = Watch::start()?;
    let before = machine::cpu(load.pid)?;
    let started = Instant::now();
    let deadline = tokio::time::sleep(load.duration);
    tokio::pin!(deadline);
    let mut samples = Vec::new();
    loop {
        tokio::select! {
            () = deadline.as_mut() => break,
            ended = clients.join_next() => match ended {
                Some(ended) => samples.extend(ended??),
                None => break,
            }
        }
    }
    let ended = Instant::now();
    let cpu = machine::cpu(load.pid)?.saturating_sub(before);
    let seen = watch.end()?;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        samples.extend(ended??);
    }
    samples.retain(|sample| sample.ended > started && sample.ended <= ended);
    let mut complaints = samples.iter().filter_map(|sample| sample.complaint.clone());
    let complaint = complaints.next();
    let wrong = samples.iter().filter(|sample| sample.wrong).count();
    let failed = usize::from(complaint.is_some()) + complaints.count();
    let mut latencies: Vec<Duration> = samples.iter().map(|sample| sample.took).collect();
    latencies.sort_unstable();
    Ok(Outcome {
        count: u32::try_from(latencies.len())?,
        failed: u32::try_from(failed)?,
        wrong: u32::try_from(wrong)?,
        elapsed: ended - started,
        cpu,
        seen,
        complaint,
        latencies,
    })
}

async fn client(
    mut connection: Connection,
    requests: Arc<Requests>,
    stop: Arc<AtomicBool>,
) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let Some(request) = requests.next() else {
            break;
        };
        let started = Instant::now();
        let reply = connection.exchange(request).await?;
        let ended = Instant::now();
        let complaint = (reply.status != 200)
            .then(|| format!("{}: {}", reply.status, String::from_utf8_lossy(reply.body)));
        let refused = matches!(reply.status, 429 | 503) && reply.says_when;
        let wrong = reply.status != 200 && !refused;
        samples.push(Sample {
            wrong,
            ended,
            took: ended - started,
            complaint,
        });
    }
    Ok(samples)
}
