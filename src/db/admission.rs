//! Who may use the requests' connections when there are too few for all.
//!
//! A request waits for connections for a bounded time in all, however many statements it runs, and is
//! then told to come back: it must not find out minutes later. Ends, reports and reads of one call
//! have a quarter of the connections that lists and new calls never get, and wait longer, so
//! lists are refused first. Logins and what else strangers ask have an eighth: they count tries in rows
//! that many of them share, and would hold every connection while they wait for each other. Jobs have connections of their own (`Db::for_workers`).

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::Options;
use crate::domain::{Error, ErrorCode, Result};

/// How urgent a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Ending calls, what providers report, one call and its receipt.
    Safety,
    /// Lists, new calls, settings.
    Ordinary,
    /// Logging in, registering: from somebody who is not known yet. It is hashed for longer than it
    /// waits here.
    Stranger,
    /// Done only if a connection is idle: a look that is repeated anyway.
    Idle,
}

tokio::task_local! {
    static ASKER: Arc<Asker>;
}

/// A request, whose statements share its patience.
struct Asker {
    urgency: Urgency,
    /// What it has waited so far.
    waited_micros: AtomicU64,
}

/// Runs a request of this urgency: its statements share its patience.
pub async fn with<T>(urgency: Urgency, request: impl Future<Output = T>) -> T {
    let asker = Asker {
        urgency,
        waited_micros: AtomicU64::new(0),
    };
    ASKER.scope(Arc::new(asker), request).await
}

/// What is spawned for a request goes on as that request.
pub fn carried<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let asker = ASKER.try_with(Arc::clone).ok();
    async move {
        match asker {
            Some(asker) => ASKER.scope(asker, work).await,
            None => work.await,
        }
    }
}

/// The places at one pool's connections.
pub(super) struct Places {
    all: Semaphore,
    /// Of them, those that are for more than the most urgent.
    ordinary: Semaphore,
    /// Of those, the ones that strangers may take.
    strangers: Semaphore,
    /// How long the most urgent requests wait, all their statements together.
    patience: Duration,
    /// How long statements wait that belong to no request.
    without_request: Duration,
}

/// The places of one statement; given back when dropped.
pub(super) struct Place<'a> {
    _all: SemaphorePermit<'a>,
    _ordinary: Option<SemaphorePermit<'a>>,
    _stranger: Option<SemaphorePermit<'a>>,
}

impl Places {
    pub(super) fn new(options: &Options) -> Self {
        let all = usize::try_from(options.request_connections).unwrap_or(usize::MAX);
        Self {
            all: Semaphore::new(all),
            ordinary: Semaphore::new((all - all / 4).max(1)),
            strangers: Semaphore::new((all / 8).max(1)),
            patience: options.patience,
            without_request: options.acquire_timeout,
        }
    }

    fn patience(&self, urgency: Urgency) -> Duration {
        match urgency {
            Urgency::Safety => self.patience,
            Urgency::Ordinary => self.patience * 5 / 8,
            Urgency::Stranger => self.patience * 5,
            Urgency::Idle => Duration::ZERO,
        }
    }

    /// Takes a place for a statement of the running request.
    ///
    /// # Errors
    /// `DATABASE_UNAVAILABLE`: there was none within the request's patience.
    pub(super) async fn take(&self) -> Result<Place<'_>> {
        let Ok(asker) = ASKER.try_with(Arc::clone) else {
            return self.wait(Urgency::Safety, self.without_request).await;
        };
        if let Some(place) = self.take_now(asker.urgency) {
            return Ok(place);
        }
        let waited = Duration::from_micros(asker.waited_micros.load(Ordering::Relaxed));
        let left = self.patience(asker.urgency).saturating_sub(waited);
        let since = Instant::now();
        let place = self.wait(asker.urgency, left).await;
        let waited = micros(since.elapsed());
        asker.waited_micros.fetch_add(waited, Ordering::Relaxed);
        place
    }

    fn take_now(&self, urgency: Urgency) -> Option<Place<'_>> {
        let stranger = match urgency {
            Urgency::Stranger => Some(self.strangers.try_acquire().ok()?),
            Urgency::Safety | Urgency::Ordinary | Urgency::Idle => None,
        };
        let ordinary = match urgency {
            Urgency::Safety => None,
            _ => Some(self.ordinary.try_acquire().ok()?),
        };
        Some(Place {
            _all: self.all.try_acquire().ok()?,
            _ordinary: ordinary,
            _stranger: stranger,
        })
    }

    async fn wait(&self, urgency: Urgency, patience: Duration) -> Result<Place<'_>> {
        let taking = async {
            let stranger = match urgency {
                Urgency::Stranger => Some(self.strangers.acquire().await.ok()?),
                Urgency::Safety | Urgency::Ordinary | Urgency::Idle => None,
            };
            let ordinary = match urgency {
                Urgency::Safety => None,
                _ => Some(self.ordinary.acquire().await.ok()?),
            };
            Some(Place {
                _all: self.all.acquire().await.ok()?,
                _ordinary: ordinary,
                _stranger: stranger,
            })
        };
        let taken = tokio::time::timeout(patience, taking).await;
        taken.ok().flatten().ok_or_else(busy)
    }
}

fn busy() -> Error {
    Error::new(
        ErrorCode::DatabaseUnavailable,
        "Too many requests wait for the database and nothing was changed; try again",
    )
    .because("wait for a connection", "none was free in time")
    .retry_after(time::Duration::seconds(1))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECTIONS: u32 = 8;

    fn places() -> Places {
        Places::new(&Options {
            request_connections: CONNECTIONS,
            ..Options::default()
        })
    }

    #[tokio::test]
    async fn lists_leave_a_quarter_of_the_connections_to_ends() {
        let places = places();
        let mut lists = Vec::new();
        while let Ok(place) = with(Urgency::Ordinary, places.take()).await {
            lists.push(place);
        }
        assert_eq!(lists.len(), 6);
        let mut ends = Vec::new();
        while let Ok(place) = with(Urgency::Safety, places.take()).await {
            ends.push(place);
        }
        assert_eq!(ends.len(), 2);
    }

    #[tokio::test]
    async fn strangers_take_an_eighth_and_leave_the_rest_to_everybody_else() {
        let places = Places::new(&Options {
            request_connections: CONNECTIONS,
            patience: Duration::from_millis(10),
            ..Options::default()
        });
        let held = with(Urgency::Stranger, places.take()).await.ok().unwrap();
        assert!(with(Urgency::Stranger, places.take()).await.is_err());
        let mut lists = Vec::new();
        while let Ok(place) = with(Urgency::Ordinary, places.take()).await {
            lists.push(place);
        }
        assert_eq!(lists.len(), 5);
        drop((held, lists));
        // Who waits is given the place that becomes free.
        let first = with(Urgency::Stranger, places.take()).await.ok();
        let second = with(Urgency::Stranger, places.take());
        let (second, ()) = tokio::join!(second, async {
            tokio::task::yield_now().await;
            drop(first);
        });
        assert!(second.is_ok());
    }

    #[tokio::test]
    async fn the_statements_of_a_request_share_its_patience() {
        let places = places();
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            held.push(places.take().await.ok().unwrap());
        }
        let began = Instant::now();
        let refused = with(Urgency::Safety, async {
            for _ in 0..3 {
                let refused = carried(places.take()).await.err().unwrap();
                assert_eq!(refused.code, ErrorCode::DatabaseUnavailable);
                assert_eq!(refused.retry_after, Some(time::Duration::seconds(1)));
            }
        });
        refused.await;
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(800), "{took:?}");
        // Each with a patience of its own, they would wait three times as long.
        assert!(took < Duration::from_millis(2400), "{took:?}");
        assert!(with(Urgency::Idle, places.take()).await.is_err());
        held.pop();
        assert!(with(Urgency::Safety, places.take()).await.is_ok());
    }

    #[tokio::test]
    async fn a_request_gets_the_place_that_becomes_free() {
        let places = places();
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            held.push(places.take().await.ok().unwrap());
        }
        let (place, ()) = tokio::join!(with(Urgency::Ordinary, places.take()), async {
            tokio::task::yield_now().await;
            held.pop();
        });
        assert!(place.is_ok());
    }
}
