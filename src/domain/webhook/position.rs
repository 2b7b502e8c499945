//! Where a reader is in an organisation's events.
//!
//! Events are ordered by the transaction that wrote them, then by what they are about and their
//! number. A reader goes no further than below the oldest transaction that is still running, so
//! that nothing can appear behind it.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::domain::{CallId, Error, ErrorCode, Timestamp};

/// The place after one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventPosition {
    /// The transaction that wrote the event (PostgreSQL's `xid8`).
    pub transaction: u64,
    /// The call; where `sequence` is 0, the organisation's event.
    pub call_id: CallId,
    pub sequence: i64,
    /// When the event was recorded: a position that is older than events are kept is refused.
    pub recorded_at: Timestamp,
}

/// The length of a position in bytes.
const BYTES: usize = 40;

impl EventPosition {
    /// The opaque form, for clients.
    pub fn encode(self) -> String {
        let bytes: Vec<u8> = self
            .transaction
            .to_be_bytes()
            .into_iter()
            .chain(*self.call_id.0.as_bytes())
            .chain(self.sequence.to_be_bytes())
            .chain(self.recorded_at.unix_millis().to_be_bytes())
            .collect();
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// # Errors
    /// `CURSOR_INVALID` when the text is not one of ours.
    pub fn decode(text: &str) -> Result<Self, Error> {
        Self::read(text).ok_or_else(invalid)
    }

    fn read(text: &str) -> Option<Self> {
        let bytes: [u8; BYTES] = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (transaction, rest) = bytes.split_at_checked(8)?;
        let (call_id, rest) = rest.split_at_checked(16)?;
        let (sequence, recorded_at) = rest.split_at_checked(8)?;
        let millis = i64::from_be_bytes(recorded_at.try_into().ok()?);
        let sequence = i64::from_be_bytes(sequence.try_into().ok()?);
        // An instant that we never gave may be none of the database's.
        let ours = (0..=253_402_300_799_999).contains(&millis) && sequence >= 0;
        ours.then_some(Self {
            transaction: u64::from_be_bytes(transaction.try_into().ok()?),
            call_id: CallId(uuid::Uuid::from_slice(call_id).ok()?),
            sequence,
            recorded_at: Timestamp::from_unix_millis(millis),
        })
    }
}

/// How a position is refused.
pub fn invalid() -> Error {
    Error::new(
        ErrorCode::CursorInvalid,
        "The position is not one that was given here, or is older than events are kept; start \
         again without it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_itself_back_and_nothing_else_is_one() {
        let position = EventPosition {
            transaction: u64::MAX - 7,
            call_id: CallId(uuid::Uuid::from_u128(11)),
            sequence: 5,
            recorded_at: Timestamp::from_unix_millis(1_763_700_000_123),
        };
        assert_eq!(EventPosition::decode(&position.encode()).unwrap(), position);
        let before = EventPosition {
            recorded_at: Timestamp::from_unix_millis(-1),
            ..position
        };
        let text = position.encode();
        let shorter = text.get(..text.len() - 2).unwrap();
        for text in ["", "AAAA", "ä", shorter, &before.encode()] {
            let refused = EventPosition::decode(text).unwrap_err();
            assert_eq!(refused.code, ErrorCode::CursorInvalid, "{text}");
        }
    }
}
