//! One reader: what happened before it came, then what the node hands on.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::StreamEvent;
use crate::{
    app::App,
    db,
    domain::{
        AgentId, OrgScope, Result, Timestamp,
        call::FactType,
        position::{EventCursor, Position},
    },
};

/// Events that are read at once of what happened before.
const PAGE: i64 = 200;

/// Which events a reader gets. Everything that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The only agents that the caller may see; `None`: all.
    pub visible_agents: Option<Vec<AgentId>>,
    /// Whether the caller may see test calls alone.
    pub test_only: bool,
    /// Empty: all.
    pub agents: Vec<AgentId>,
    /// Empty: all.
    pub kinds: Vec<FactType>,
}

impl Filter {
    fn lets(&self, event: &StreamEvent) -> bool {
        let visible = self.visible_agents.as_ref();
        visible.is_none_or(|agents| agents.contains(&event.agent_id))
            && (event.test || !self.test_only)
            && (self.agents.is_empty() || self.agents.contains(&event.agent_id))
            && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
    }
}

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    pub position: Position,
    /// What came before was asked for and is not known any more: the reader must list again.
    pub reset: bool,
}

impl Start {
    /// `live_from`: what the node hands on comes after it. `next`: no transaction has this id yet; a
    /// higher place is of another database, which this one was restored from.
    pub(super) fn of(
        from: Option<EventCursor>,
        live_from: Position,
        next: u64,
        now: Timestamp,
    ) -> Self {
        match from {
            None => Self {
                position: live_from,
                reset: false,
            },
            Some(from) if from.is_too_old(now) || from.position.transaction > next => Self {
                position: live_from,
                reset: true,
            },
            Some(from) => Self {
                position: from.position,
                reset: false,
            },
        }
    }
}

/// What a reader gets next.
#[derive(Clone, Debug)]
pub enum Item {
    Event(Arc<StreamEvent>),
    /// All that happened before it came was read; said once, and only when there was anything.
    Past,
    /// It did not keep up: it comes back with its place.
    Behind,
    /// Its token is in force no longer.
    Dismissed,
}

/// A reader of events; it leaves when dropped.
pub struct Reader {
    parts: Parts,
    /// The last event that was looked at.
    position: Position,
    page: VecDeque<Arc<StreamEvent>>,
}

pub(super) struct Parts {
    pub(super) app: App,
    pub(super) scope: OrgScope,
    pub(super) number: u64,
    pub(super) events: Receiver<Arc<StreamEvent>>,
    pub(super) dismissed: CancellationToken,
    pub(super) start: Start,
    pub(super) live_from: Position,
    pub(super) filter: Filter,
}

impl Reader {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            position: parts.start.position,
            page: VecDeque::new(),
            parts,
        }
    }

    pub fn start(&self) -> Start {
        self.parts.start
    }

    /// The place after all that was seen, when nothing older is still to be read.
    pub fn cursor(&self) -> Option<EventCursor> {
        self.is_live().then(|| EventCursor {
            position: self.position.max(self.parts.live_from),
            given_at: self.parts.app.ambient.now(),
        })
    }

    /// Whether what happened before it came has been read.
    pub fn is_live(&self) -> bool {
        self.page.is_empty() && self.position >= self.parts.live_from
    }

    /// What comes next. Safe to drop and ask again.
    ///
    /// # Errors
    /// `DATABASE_UNAVAILABLE`: what happened before could not be read.
    pub async fn next(&mut self) -> Result<Item> {
        loop {
            if self.parts.dismissed.is_cancelled() {
                return Ok(Item::Dismissed);
            }
            let event = if let Some(event) = self.page.pop_front() {
                event
            } else if self.is_live() {
                tokio::select! {
                    () = self.parts.dismissed.cancelled() => continue,
                    received = self.parts.events.recv() => match received {
                        Ok(event) => event,
                        // The node's loop ended, which it does when the node stops.
                        Err(RecvError::Lagged(_) | RecvError::Closed) => return Ok(Item::Behind),
                    }
                }
            } else {
                self.read_page().await?;
                if self.is_live() {
                    return Ok(Item::Past);
                }
                continue;
            };
            if event.position <= self.position {
                continue;
            }
            self.position = event.position;
            if self.parts.filter.lets(&event) {
                return Ok(Item::Event(event));
            }
        }
    }

    async fn read_page(&mut self) -> Result<()> {
        let Parts {
            app,
            scope,
            live_from,
            ..
        } = &self.parts;
        let facts = db::call_facts::between(&app.db, *scope, self.position, *live_from, PAGE);
        let facts = facts.await?;
        if facts.is_empty() {
            self.position = *live_from;
        }
        for fact in facts {
            self.page.push_back(Arc::new(StreamEvent::of(fact)?));
        }
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Parts {
            app, scope, number, ..
        } = &self.parts;
        app.feed.forget(scope.id(), *number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_old_or_of_another_database_begins_anew() {
        let now = Timestamp::from_unix_millis(1_900_000_000_000);
        let live_from = Position::before(100);
        let from = |transaction, days: i64| {
            Some(EventCursor {
                position: Position::before(transaction),
                given_at: now.plus(time::Duration::days(-days)),
            })
        };
        for (from, transaction, reset) in [
            (None, 100, false),
            (from(50, 1), 50, false),
            (from(100, 0), 100, false),
            // Of a node that is ahead of this one.
            (from(104, 0), 104, false),
            (from(105, 0), 105, false),
            (from(106, 0), 100, true),
            (from(50, 31), 100, true),
        ] {
            let start = Start::of(from, live_from, 105, now);
            assert_eq!(
                start,
                Start {
                    position: Position::before(transaction),
                    reset
                },
                "{from:?}"
            );
        }
    }
}
