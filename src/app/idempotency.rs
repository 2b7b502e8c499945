//! Idempotency-Key: the same key and request get the same answer, and the work is done once.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::Duration;

use super::App;
use crate::{
    crypto::sealed::Sealed,
    db::{
        self,
        idempotency::{Begin, NewKey},
    },
    domain::{Error, ErrorCode, OrgScope, Result, Timestamp, TokenId},
};

/// An operation without an answer for this long has died; its key may be taken over.
const DEAD_AFTER: Duration = Duration::seconds(45);

/// The same for an end. A second one joins the first whether that lives or not, and somebody is
/// talking meanwhile: who asks again after a crash is not kept waiting.
const END_DEAD_AFTER: Duration = Duration::seconds(3);

/// A client's key for one operation on one route.
#[derive(Clone, Debug)]
pub struct Key {
    pub route: &'static str,
    pub key: String,
    pub token_id: Option<TokenId>,
    request_hash: [u8; 32],
    of_end: bool,
}

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAnswer {
    pub status: u16,
    pub content_type: String,
    pub location: Option<String>,
    pub body: String,
}

impl Key {
    /// `request` is everything that makes the request what it is: path and body.
    ///
    /// # Errors
    /// `INVALID_REQUEST` unless the key is 1 to 255 visible ASCII characters.
    pub fn new(
        route: &'static str,
        key: &str,
        token_id: Option<TokenId>,
        request: &[&[u8]],
    ) -> Result<Self> {
        let visible = (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
        if !visible {
            return Err(Error::new(
                ErrorCode::InvalidRequest,
                "Idempotency-Key must be 1 to 255 visible ASCII characters, for example a UUID",
            ));
        }
        let mut hash = Sha256::new();
        for part in request {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        Ok(Self {
            route,
            key: key.to_owned(),
            token_id,
            request_hash: hash.finalize().into(),
            of_end: false,
        })
    }

    /// The key of an end, which may be carried out again while the first one is still under way.
    #[must_use]
    pub fn of_end(self) -> Self {
        Self {
            of_end: true,
            ..self
        }
    }

    fn dead_after(&self) -> Duration {
        if self.of_end {
            END_DEAD_AFTER
        } else {
            DEAD_AFTER
        }
    }

    /// The row that is written with the operation, its answer sealed.
    ///
    /// # Errors
    /// `INTERNAL`.
    pub fn with_answer(&self, app: &App, scope: OrgScope, answer: &StoredAnswer) -> Result<NewKey> {
        let sealed = self.seal(app, scope, answer)?;
        Ok(NewKey {
            status: i16::try_from(answer.status).ok(),
            answer_sealed: Some(hex(&sealed.bytes)),
            answer_key_id: Some(sealed.key_id),
            ..self.without_answer()
        })
    }

    fn without_answer(&self) -> NewKey {
        NewKey {
            route: self.route,
            key: self.key.clone(),
            token_id: self.token_id,
            request_hash: hex(&self.request_hash),
            status: None,
            answer_sealed: None,
            answer_key_id: None,
        }
    }

    fn context(&self, scope: OrgScope) -> String {
        format!(
            "idempotency_keys/{}/{}/{}",
            scope.id(),
            self.route,
            self.key
        )
    }

    fn seal(&self, app: &App, scope: OrgScope, answer: &StoredAnswer) -> Result<Sealed> {
        let json = serde_json::to_vec(answer)
            .map_err(|error| Error::internal("write an answer as JSON", error))?;
        app.keys
            .seal(&json, &self.context(scope), app.ambient.entropy.as_ref())
    }
}

/// The answer given before to the same key and request, if any.
///
/// # Errors
/// `IDEMPOTENCY_KEY_REUSED` for another request, `IDEMPOTENCY_IN_PROGRESS` while it runs.
pub async fn replay(app: &App, scope: OrgScope, key: &Key) -> Result<Option<StoredAnswer>> {
    let Some(stored) = db::idempotency::find(&app.db, scope, key.route, &key.key).await? else {
        return Ok(None);
    };
    if stored.request_hash != key.request_hash {
        return Err(Error::new(
            ErrorCode::IdempotencyKeyReused,
            "This Idempotency-Key was used for another request; use a new key for a new request",
        ));
    }
    match stored.answer {
        Some((_, sealed)) => {
            let json = app.keys.open(&sealed, &key.context(scope))?;
            let answer = serde_json::from_slice(&json)
                .map_err(|error| Error::internal("read a kept answer", error))?;
            Ok(Some(answer))
        }
        None if app.ambient.now().since(stored.created_at) > key.dead_after() => Ok(None),
        None => Err(in_progress()),
    }
}

/// Holds the key for an operation that is safe to repeat by itself. Returns since when it is held:
/// an end that takes over from one that died stands for that one.
///
/// # Errors
/// `IDEMPOTENCY_IN_PROGRESS` when another request holds it.
pub async fn begin(app: &App, scope: OrgScope, key: &Key) -> Result<Timestamp> {
    let now = app.ambient.now();
    let begin = Begin {
        now,
        dead_before: now.plus(-key.dead_after()),
        anew: !key.of_end,
    };
    db::idempotency::begin(&app.db, scope, &key.without_answer(), begin)
        .await?
        .ok_or_else(in_progress)
}

/// Keeps the answer; one that the client should try again (5xx) is forgotten instead.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn finish(app: &App, scope: OrgScope, key: &Key, answer: &StoredAnswer) -> Result<()> {
    if answer.status >= 500 {
        return db::idempotency::forget(&app.db, scope, key.route, &key.key).await;
    }
    let sealed = key.seal(app, scope, answer)?;
    let status = i16::try_from(answer.status).unwrap_or(200);
    db::idempotency::finish(&app.db, scope, key.route, &key.key, status, &sealed).await
}

fn in_progress() -> Error {
    Error::new(
        ErrorCode::IdempotencyInProgress,
        "A request with this Idempotency-Key is being carried out; try again in a second",
    )
    .retry_after(Duration::seconds(1))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(digit.into(), 16));
            }
            text
        })
}
