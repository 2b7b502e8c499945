//! The exchange at work: its lock, its clock, its timers and the requests under way.
//!
//! The lock is held for the exchange's own work only, never across a wait. Every wait ends early
//! when the tasks stop.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::sync::{Notify, futures::Notified, watch};

use super::{
    call::Effect,
    callbacks,
    exchange::Exchange,
    fault::{Act, Operation, When},
    listener::{Handled, Reply},
    pace, sip,
};
use crate::{
    ambient::Ambient,
    domain::{Timestamp, provider::ProviderKind},
    outbound,
};

pub(super) struct Switchboard {
    pub(super) ambient: Ambient,
    /// For callbacks.
    pub(super) client: outbound::Client,
    exchange: Mutex<Exchange>,
    counters: Counters,
    /// Set once, when the listener is bound.
    address: OnceLock<SocketAddr>,
    sockets: Notify,
    /// Who listens to the events of an Asterisk.
    pub(super) ari: sip::Listeners,
    moves: Notify,
    /// Whether what an ordered fault delays goes on at once.
    released: watch::Sender<bool>,
}

#[derive(Default)]
struct Counters {
    creates: AtomicU64,
    hangups: AtomicU64,
    fetches: AtomicU64,
    lists: AtomicU64,
    sockets: AtomicU64,
    hangups_in_flight: AtomicU64,
    max_in_flight_hangups: AtomicU64,
}

/// Authenticated requests since the start or the last `DELETE /_sim`, failed ones included.
#[derive(Serialize)]
pub(super) struct Stats {
    creates: u64,
    hangups: u64,
    fetches: u64,
    lists: u64,
    /// Requests to open a websocket.
    sockets: u64,
    /// The most hang-up requests that were under way at one time.
    max_in_flight_hangups: u64,
}

impl Switchboard {
    pub(super) fn new(ambient: Ambient, client: outbound::Client) -> Self {
        Self {
            ambient,
            client,
            exchange: Mutex::default(),
            counters: Counters::default(),
            address: OnceLock::new(),
            sockets: Notify::new(),
            ari: sip::Listeners::default(),
            moves: Notify::new(),
            released: watch::Sender::new(false),
        }
    }

    pub(super) fn listens_at(&self, address: SocketAddr) {
        self.address.get_or_init(|| address);
    }

    /// Where the simulator listens; no call comes about before it does.
    pub(super) fn address(&self) -> SocketAddr {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        self.address.get().copied().unwrap_or(nowhere)
    }

    /// Completes when the websockets that are open now are to break, as connections do. It misses
    /// nothing from when it is made, so one is made when a websocket is opened.
    pub(super) fn sockets_break(&self) -> Notified<'_> {
        self.sockets.notified()
    }

    /// Breaks every open websocket without a closing.
    pub(super) fn break_sockets(&self) {
        self.sockets.notify_waiters();
    }

    /// Does `work` on the exchange and sets going what follows from it.
    pub(super) fn with<T>(self: &Arc<Self>, work: impl FnOnce(&mut Exchange) -> T) -> T {
        let (output, effects) = {
            let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
            let output = work(&mut exchange);
            (output, exchange.take_effects())
        };
        for effect in effects {
            self.follow(effect);
        }
        self.moves.notify_waiters();
        output
    }

    /// Looks at the exchange and changes nothing.
    pub(super) fn look<T>(&self, work: impl FnOnce(&Exchange) -> T) -> T {
        work(&self.exchange.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Completes when something may have moved in the exchange.
    pub(super) fn moved(&self) -> Notified<'_> {
        self.moves.notified()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.ambient.now()
    }

    /// Waits. `false` when the tasks were stopped meanwhile: give up.
    pub(super) async fn pause(&self, duration: Duration) -> bool {
        pace::pause(&self.ambient.tasks, duration).await
    }

    /// Waits as a fault orders, or until that is released. `false` as in [`Switchboard::pause`].
    pub(super) async fn delay(&self, by: Duration) -> bool {
        let mut released = self.released.subscribe();
        tokio::select! {
            _ = released.wait_for(|released| *released) => true,
            waited = self.pause(by) => waited,
        }
    }

    /// Whether delays are over, those under way and those that begin before the next fault is
    /// ordered.
    pub(super) fn release(&self, released: bool) {
        self.released.send_replace(released);
    }

    fn follow(self: &Arc<Self>, effect: Effect) {
        let board = Arc::clone(self);
        let tasks = &self.ambient.tasks;
        match effect {
            Effect::Deliver(line) => drop(tasks.spawn(callbacks::deliver(board, line))),
            Effect::After(duration, line, moment) => drop(tasks.spawn(async move {
                if board.pause(duration).await {
                    let now = board.now();
                    board.with(|exchange| exchange.come(line, moment, now));
                }
            })),
        }
    }

    /// Does what a request asks for, or fails it as was ordered.
    ///
    /// `act` is what the provider does and answers; `usual_body` words an error that was ordered
    /// by its status alone.
    pub(super) async fn under_fault(
        self: &Arc<Self>,
        provider: ProviderKind,
        operation: Operation,
        act: impl FnOnce() -> Reply + Send,
        usual_body: impl FnOnce(Reply) -> Reply + Send,
    ) -> Handled {
        match self.with(|exchange| exchange.take_fault(provider, operation)) {
            Some(Act::Delay {
                by,
                when: When::After,
            }) => {
                let reply = act();
                self.delay(by).await;
                Handled::Answer(reply)
            }
            Some(Act::Delay { by, .. }) => {
                if self.delay(by).await {
                    Handled::Answer(act())
                } else {
                    Handled::Abort
                }
            }
            Some(Act::Reset(When::Before)) => Handled::Abort,
            Some(Act::Reset(When::After)) => {
                act();
                Handled::Abort
            }
            Some(Act::Respond { reply, when }) => {
                if when == When::After {
                    act();
                }
                Handled::Answer(if reply.body.is_empty() {
                    usual_body(reply)
                } else {
                    reply
                })
            }
            _ => Handled::Answer(act()),
        }
    }

    pub(super) fn count(&self, operation: Operation) {
        let counter = match operation {
            Operation::Create => &self.counters.creates,
            Operation::Hangup => &self.counters.hangups,
            Operation::Fetch => &self.counters.fetches,
            Operation::List => &self.counters.lists,
            Operation::Socket => &self.counters.sockets,
            Operation::Callback => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a hang-up request as under way until the guard is dropped.
    pub(super) fn hang_up_under_way(self: &Arc<Self>) -> UnderWay {
        let counters = &self.counters;
        let at_once = counters.hangups_in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        counters
            .max_in_flight_hangups
            .fetch_max(at_once, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    pub(super) fn stats(&self) -> Stats {
        let counters = &self.counters;
        Stats {
            creates: counters.creates.load(Ordering::Relaxed),
            hangups: counters.hangups.load(Ordering::Relaxed),
            fetches: counters.fetches.load(Ordering::Relaxed),
            lists: counters.lists.load(Ordering::Relaxed),
            sockets: counters.sockets.load(Ordering::Relaxed),
            max_in_flight_hangups: counters.max_in_flight_hangups.load(Ordering::Relaxed),
        }
    }

    pub(super) fn reset_stats(&self) {
        let counters = &self.counters;
        for counter in [
            &counters.creates,
            &counters.hangups,
            &counters.fetches,
            &counters.lists,
            &counters.sockets,
            &counters.max_in_flight_hangups,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// A hang-up request that is being dealt with.
pub(super) struct UnderWay(Arc<Switchboard>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let in_flight = &self.0.counters.hangups_in_flight;
        in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
