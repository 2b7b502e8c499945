//! The place of an event among all of its organisation's, and its text form.
//!
//! Events are ordered by the transaction that wrote them, then by call and sequence. Transactions
//! commit in any order, so a reader goes no further than the oldest one that still runs: what comes
//! later has a higher place, and no place below it will ever be filled.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use super::{CallId, Timestamp};

/// How long events can be read again. An older place is answered with a reset.
pub const KEPT_FOR: time::Duration = time::Duration::days(30);

/// A place between events. Everything up to it was seen, or lies before what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// PostgreSQL's 64-bit transaction id.
    pub transaction: u64,
    /// The call of the last event seen of that transaction; nil: none was. Where `sequence` is 0,
    /// the id of an event that is about no call.
    pub call_id: CallId,
    pub sequence: i64,
}

impl Position {
    /// Before everything that the transaction, and any later one, wrote.
    pub const fn before(transaction: u64) -> Self {
        Self {
            transaction,
            call_id: CallId(Uuid::nil()),
            sequence: 0,
        }
    }
}

/// A position as clients keep it: the `id` of a stream's messages, `stream_cursor` of a list,
/// `next_after` of a page. With the second in which it was given out, or in which its event was
/// recorded, which tells how old it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventCursor {
    pub position: Position,
    pub given_at: Timestamp,
}

impl EventCursor {
    /// Whether what came after it may be kept no longer.
    pub fn is_too_old(&self, now: Timestamp) -> bool {
        now.since(self.given_at) > KEPT_FOR
    }
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position {
            transaction,
            call_id,
            sequence,
        } = self.position;
        write!(f, "{transaction:x}-{:x}", self.given_at.unix_seconds())?;
        if !call_id.0.is_nil() {
            write!(f, "-{}-{sequence}", call_id.0.simple())?;
        }
        Ok(())
    }
}

/// A text that is none of our positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position among events")]
pub struct NotACursor;

impl FromStr for EventCursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        /// Far beyond any event, and within what a timestamp can hold.
        const LAST_SECOND: i64 = 253_402_300_799;
        let hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let parts: Vec<&str> = text.split('-').collect();
        let (transaction, given_at, event) = match parts.as_slice() {
            [transaction, given_at] => (transaction, given_at, None),
            [transaction, given_at, call_id, sequence] => {
                (transaction, given_at, Some((call_id, sequence)))
            }
            _ => return Err(NotACursor),
        };
        if !hexadecimal(transaction) || !hexadecimal(given_at) {
            return Err(NotACursor);
        }
        let transaction = u64::from_str_radix(transaction, 16).map_err(|_| NotACursor)?;
        let given_at = i64::from_str_radix(given_at, 16).map_err(|_| NotACursor)?;
        if given_at > LAST_SECOND {
            return Err(NotACursor);
        }
        let position = match event {
            None => Position::before(transaction),
            Some((call_id, sequence)) => Position {
                transaction,
                call_id: Uuid::try_parse(call_id)
                    .ok()
                    .filter(|id| !id.is_nil())
                    .map(CallId)
                    .ok_or(NotACursor)?,
                sequence: sequence
                    .parse()
                    .ok()
                    .filter(|sequence| *sequence >= 0)
                    .ok_or(NotACursor)?,
            },
        };
        Ok(Self {
            position,
            given_at: Timestamp::from_unix_millis(given_at * 1000),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Timestamp {
        Timestamp::from_unix_millis(0)
    }

    fn event(transaction: u64, call: u128, sequence: i64) -> Position {
        Position {
            transaction,
            call_id: CallId(Uuid::from_u128(call)),
            sequence,
        }
    }

    #[test]
    fn a_cursor_reads_itself_back_whether_it_names_an_event_or_not() {
        for position in [
            Position::before(0),
            Position::before(u64::MAX),
            event(7, 9, 0),
            event(7, 9, 1),
            event(u64::MAX, u128::MAX, i64::MAX),
        ] {
            let cursor = EventCursor {
                position,
                given_at: at(),
            };
            assert_eq!(cursor.to_string().parse(), Ok(cursor), "{cursor}");
        }
        assert_eq!(
            EventCursor {
                position: Position::before(0x1a2b3),
                given_at: at()
            }
            .to_string(),
            "1a2b3-0"
        );
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "1-g",
            "+1-1",
            "1-1-",
            "1-1-x-1",
            "1-1-00000000000000000000000000000000-0",
            "1-1-00000000000000000000000000000001--1",
            "1-1-00000000000000000000000000000001-1-1",
            "1-fffffffffffffff",
            "10000000000000000-1",
            "evt_00000000000000000000000000000001_1",
            "ä-1",
        ] {
            assert_eq!(text.parse::<EventCursor>(), Err(NotACursor), "{text}");
        }
    }

    #[test]
    fn places_are_ordered_by_transaction_then_call_then_sequence() {
        let places = [
            Position::before(7),
            event(7, 1, 1),
            event(7, 1, 2),
            event(7, 2, 1),
            Position::before(8),
        ];
        assert!(places.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn a_cursor_older_than_thirty_days_is_too_old() {
        let cursor = EventCursor {
            position: Position::before(1),
            given_at: at(),
        };
        assert!(!cursor.is_too_old(at().plus(KEPT_FOR)));
        assert!(cursor.is_too_old(at().plus(KEPT_FOR + time::Duration::seconds(1))));
    }
}
