//! Readers of an organisation's events as they happen, on any node, whichever node took the call.
//!
//! A node reads what is new once for all of its readers: one statement, ten times a second while
//! there are any, and at once when it changed a call itself. What it reads it hands to each
//! organisation's readers over a bounded channel; a reader that does not keep up is told so and comes
//! back with its place, it is never buffered for. What happened before a reader came it reads itself,
//! up to the place from which the channel goes on.
//!
//! The invariant: a reader sees every event after its place once and in the order of places. It rests
//! on `db::call_facts::news`, which reads no further than the oldest running transaction.

mod reader;

pub use reader::{Filter, Item, Reader, Start};

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use super::{App, callers};
use crate::{
    db::{self, call_facts::PlacedFact},
    domain::{
        AgentId, Error, ErrorCode, OrgScope, OrganizationId, Result, Timestamp, TokenId,
        call::FactType,
        position::{EventCursor, Position},
        token::Caller,
        webhook::{
            envelope::{Envelope, event_id},
            event::EventType,
        },
    },
};

/// How often what is new is read while somebody reads.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a look lets other changes of this node come with the first.
const GATHER: Duration = Duration::from_millis(20);
/// How often the readers' tokens are looked at. A revoked one must not read for longer than 2 s.
const TOKENS_EVERY: Duration = Duration::from_secs(1);
/// Events of one organisation that are read at once.
const PAGE: i64 = 500;
/// Events that a reader may be behind before it is sent away.
const MOST_BEHIND: usize = 4096;
/// Readers of one organisation on one node.
const MOST_READERS: usize = 256;

/// An event as readers get it.
#[derive(Debug)]
pub struct StreamEvent {
    pub position: Position,
    pub agent_id: AgentId,
    /// Whether it is of a test call.
    pub test: bool,
    pub kind: FactType,
    pub recorded_at: Timestamp,
    /// The envelope, as webhooks carry it: JSON, on one line.
    pub envelope: String,
}

impl StreamEvent {
    fn of(fact: PlacedFact) -> Result<Self> {
        let Position {
            call_id, sequence, ..
        } = fact.position;
        let envelope = Envelope {
            id: event_id(call_id, sequence),
            kind: EventType::Call(fact.kind),
            timestamp: fact.at,
            organization_id: fact.organization_id,
            agent_id: Some(fact.agent_id),
            call_id: Some(call_id),
            sequence,
            data: fact.data,
        };
        Ok(Self {
            position: fact.position,
            agent_id: fact.agent_id,
            test: fact.test,
            kind: fact.kind,
            recorded_at: fact.recorded_at,
            envelope: serde_json::to_string(&envelope)
                .map_err(|error| Error::internal("write an event", error))?,
        })
    }

    /// The place after this event.
    pub fn cursor(&self) -> EventCursor {
        EventCursor {
            position: self.position,
            given_at: self.recorded_at,
        }
    }
}

/// The readers of this node.
#[derive(Clone, Default)]
pub struct Feed {
    state: Arc<Mutex<State>>,
    came: Arc<Notify>,
}

#[derive(Default)]
struct State {
    organizations: HashMap<OrganizationId, Source>,
    /// Whether the loop that reads runs.
    running: bool,
    /// Tells one source of an organisation from the next.
    last_source: u64,
    last_reader: u64,
}

/// What the readers of one organisation get.
struct Source {
    number: u64,
    events: broadcast::Sender<Arc<StreamEvent>>,
    /// Everything after it is sent over the channel.
    position: Position,
    readers: HashMap<u64, Admitted>,
}

struct Admitted {
    token_id: Option<TokenId>,
    dismissed: CancellationToken,
}

impl Feed {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody reads; if not, the loop that asks is over.
    fn is_wanted(&self) -> bool {
        let mut state = self.state();
        state.running = !state.organizations.is_empty();
        state.running
    }

    fn forget(&self, organization_id: OrganizationId, reader: u64) {
        let mut state = self.state();
        if let Some(source) = state.organizations.get_mut(&organization_id) {
            source.readers.remove(&reader);
            if source.readers.is_empty() {
                state.organizations.remove(&organization_id);
            }
        }
    }

    /// How many read on this node.
    pub fn readers(&self) -> usize {
        let state = self.state();
        state
            .organizations
            .values()
            .map(|source| source.readers.len())
            .sum()
    }
}

/// Begins to read the caller's organisation's events, after `from` where that is given and still
/// known, else from now on.
///
/// # Errors
/// `UNAUTHENTICATED`, `RATE_LIMITED` (too many read on this node), `DATABASE_UNAVAILABLE`.
pub async fn read(
    app: &App,
    caller: &Caller,
    scope: OrgScope,
    from: Option<EventCursor>,
    filter: Filter,
) -> Result<Reader> {
    if let Some(token) = caller.token_id() {
        // Who is calling is remembered for as long as a revoked token may still read.
        let held = [(scope.id(), token)];
        let in_force = db::tokens::in_force(&app.db, &held, app.ambient.now()).await?;
        if !in_force.contains(&token) {
            return Err(callers::unauthenticated());
        }
    }
    let horizon = db::call_facts::horizon(&app.db).await?;
    let feed = &app.feed;
    let mut state = feed.state();
    state.last_source += 1;
    state.last_reader += 1;
    let (number, reader) = (state.last_source, state.last_reader);
    let source = state
        .organizations
        .entry(scope.id())
        .or_insert_with(|| Source {
            number,
            events: broadcast::Sender::new(MOST_BEHIND),
            position: Position::before(horizon.oldest_running),
            readers: HashMap::new(),
        });
    if source.readers.len() >= MOST_READERS {
        return Err(Error::new(
            ErrorCode::RateLimited,
            "Too many streams of this organisation are open here; close some, or share one",
        )
        .retry_after(time::Duration::seconds(5)));
    }
    let dismissed = CancellationToken::new();
    let admitted = Admitted {
        token_id: caller.token_id(),
        dismissed: dismissed.clone(),
    };
    source.readers.insert(reader, admitted);
    let now = app.ambient.now();
    let live_from = source.position;
    let start = Start::of(from, live_from, horizon.next, now);
    let events = source.events.subscribe();
    let starts = !std::mem::replace(&mut state.running, true);
    drop(state);
    if starts {
        let looking = app.for_workers();
        let task = async move { keep_looking(&looking).await };
        drop(app.ambient.tasks.spawn(task));
    }
    feed.came.notify_one();
    Ok(Reader::new(reader::Parts {
        app: app.clone(),
        scope,
        number: reader,
        events,
        dismissed,
        start,
        live_from,
        filter,
    }))
}

/// Reads what is new for as long as somebody reads.
async fn keep_looking(app: &App) {
    let tasks = &app.ambient.tasks;
    let mut tokens_seen = tokio::time::Instant::now();
    while !tasks.is_stopping() && app.feed.is_wanted() {
        let full = failing("read what is new", look(app).await).unwrap_or(false);
        if tokens_seen.elapsed() >= TOKENS_EVERY {
            tokens_seen = tokio::time::Instant::now();
            failing("look at the tokens", dismiss_revoked(app).await);
        }
        if full {
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            () = tasks.stopping() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = app.db.wake().facts() => {
                tasks.stopped_within(GATHER).await;
            }
            () = app.feed.came.notified() => {}
        }
    }
}

/// Logs a failure, after which it is tried again.
fn failing<T>(doing: &'static str, result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let causes = error.causes();
            tracing::warn!(%error, causes, doing, "streams wait; tried again");
            None
        }
    }
}

/// Reads what is new and hands it on. True: there is more already.
async fn look(app: &App) -> Result<bool> {
    let (places, numbers): (Vec<_>, HashMap<_, _>) = {
        let state = app.feed.state();
        let sources = || state.organizations.iter();
        (
            sources()
                .map(|(id, source)| (*id, source.position))
                .collect(),
            sources().map(|(id, source)| (*id, source.number)).collect(),
        )
    };
    let facts = db::call_facts::news(&app.db, &places, PAGE).await?;
    let mut counts: HashMap<OrganizationId, i64> = HashMap::new();
    let mut state = app.feed.state();
    for fact in facts {
        let id = fact.organization_id;
        *counts.entry(id).or_default() += 1;
        // Readers that all left and came again meanwhile have a source with a place of its own.
        let source = state.organizations.get_mut(&id);
        let Some(source) = source.filter(|source| numbers.get(&id) == Some(&source.number)) else {
            continue;
        };
        source.position = fact.position;
        // That nobody listens is no failure: the last reader just left.
        drop(source.events.send(Arc::new(StreamEvent::of(fact)?)));
    }
    Ok(counts.values().any(|count| *count >= PAGE))
}

/// Sends those away whose tokens are in force no longer.
async fn dismiss_revoked(app: &App) -> Result<()> {
    let held: Vec<(OrganizationId, TokenId)> = {
        let state = app.feed.state();
        let of_source = |(id, source): (&OrganizationId, &Source)| {
            let tokens = source.readers.values().filter_map(|reader| reader.token_id);
            let id = *id;
            tokens.map(move |token| (id, token)).collect::<Vec<_>>()
        };
        state.organizations.iter().flat_map(of_source).collect()
    };
    if held.is_empty() {
        return Ok(());
    }
    let in_force = db::tokens::in_force(&app.db, &held, app.ambient.now()).await?;
    let state = app.feed.state();
    for reader in state
        .organizations
        .values()
        .flat_map(|source| source.readers.values())
    {
        // One that came after the look has a token that was not asked for.
        let asked = |token: &TokenId| held.iter().any(|(_, held)| held == token);
        let token = reader.token_id.filter(asked);
        if token.is_some_and(|token| !in_force.contains(&token)) {
            reader.dismissed.cancel();
        }
    }
    Ok(())
}
