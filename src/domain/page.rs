//! Paging: limits and opaque cursors.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use uuid::Uuid;

use super::{CallId, Error, ErrorCode, Timestamp};

pub const DEFAULT_LIMIT: i64 = 100;
pub const MAX_LIMIT: i64 = 1000;

/// The end of the year 9999.
const MAX_UNIX_MILLIS: i64 = 253_402_300_799_999;

/// The place after which a page begins: the last call (or other thing) of the page before it, bound to
/// the filter that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor<Id = CallId> {
    pub created_at: Timestamp,
    pub id: Id,
    /// A checksum of the filter; a cursor of another filter is refused.
    pub filter: u32,
}

impl<Id: Copy + From<Uuid> + Into<Uuid>> Cursor<Id> {
    pub fn encode(self) -> String {
        let mut bytes = [0; 28];
        let fields = self
            .filter
            .to_be_bytes()
            .into_iter()
            .chain(self.created_at.unix_millis().to_be_bytes())
            .chain(*self.id.into().as_bytes());
        bytes
            .iter_mut()
            .zip(fields)
            .for_each(|(slot, byte)| *slot = byte);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// # Errors
    /// `CURSOR_INVALID` when the text is not one of our cursors or belongs to another filter.
    pub fn decode(text: &str, filter: u32) -> Result<Self, Error> {
        let invalid = || {
            Error::new(
                ErrorCode::CursorInvalid,
                "The cursor does not belong to this list and filter; start again without it",
            )
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let bytes: [u8; 28] = bytes.try_into().map_err(|_| invalid())?;
        let [a, b, c, d, rest @ ..] = bytes;
        let (millis, id) = rest.split_at(8);
        let millis = i64::from_be_bytes(millis.try_into().map_err(|_| invalid())?);
        let id = Uuid::from_slice(id).map_err(|_| invalid())?;
        // The checksum is no signature: an instant that we never gave may be none of the database's.
        let ours = 0..=MAX_UNIX_MILLIS;
        if u32::from_be_bytes([a, b, c, d]) != filter || !ours.contains(&millis) {
            return Err(invalid());
        }
        Ok(Self {
            created_at: Timestamp::from_unix_millis(millis),
            id: Id::from(id),
            filter,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_itself_back_and_refuses_another_filter() {
        let cursor = Cursor {
            created_at: Timestamp::from_unix_millis(1_763_700_000_123),
            id: CallId(Uuid::from_u128(7)),
            filter: 42,
        };
        assert_eq!(Cursor::decode(&cursor.encode(), 42).unwrap(), cursor);
        let created_at = Timestamp::from_unix_millis(-1);
        let forged = Cursor {
            created_at,
            ..cursor
        };
        for (text, filter) in [
            (cursor.encode().as_str(), 43),
            (forged.encode().as_str(), 42),
            ("", 42),
            ("AAAA", 42),
            ("ä", 42),
        ] {
            assert_eq!(
                Cursor::<CallId>::decode(text, filter).unwrap_err().code,
                ErrorCode::CursorInvalid
            );
        }
    }
}
