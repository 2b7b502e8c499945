//! Access tokens: by which key they are signed, and who shows one.
//!
//! The keys are in the database, sealed, and every node reads them anew each few seconds. A new key
//! signs only after every node has had the time to read it, and an old one verifies until nothing
//! that it signed is good any more: so a key is replaced without a request that fails.

use std::{collections::HashMap, sync::Arc};

use time::Duration;
use tokio::sync::RwLock;
use uuid::Uuid;

use super::App;
use crate::{
    app::callers::unauthenticated,
    crypto::{
        access_token::{self, SigningKey, VerifyingKey},
        sealed::Sealed,
    },
    db::{self, access_token_keys::KeyRow},
    domain::{
        Error, ErrorCode, OrganizationId, PersonId, Result, SessionId, Timestamp,
        membership::{Membership, NoChoice, Standing},
        session::{ACCESS, AccessClaims},
        token::{Caller, Environment, Principal},
    },
};

/// How old the keys may be that a node knows.
const READ_EVERY: Duration = Duration::seconds(5);

/// A token of an unknown key is a reason to read the keys anew, but not for every such token.
const READ_FOR_UNKNOWN: Duration = Duration::milliseconds(200);

/// A new key signs so much later, twice as long as a node may not know of it.
const SIGNS_AFTER: Duration = Duration::seconds(10);

/// A key is replaced when it is so old, by whichever node signs next.
const REPLACED_AFTER: Duration = Duration::days(30);

/// Keys that this node knows. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Keys(Arc<RwLock<Option<Arc<Known>>>>);

struct Known {
    read_at: Timestamp,
    /// Newest first.
    signing: Vec<(Timestamp, SigningKey)>,
    verifying: HashMap<Uuid, VerifyingKey>,
}

impl Keys {
    /// The keys, read no longer ago than `age` ago. While the database does not answer, the ones that
    /// are known go on.
    async fn known(&self, app: &App, age: Duration) -> Result<Arc<Known>> {
        let now = app.ambient.now();
        let fresh = |known: &Option<Arc<Known>>| {
            known
                .as_ref()
                .filter(|known| now.since(known.read_at).abs() < age)
                .map(Arc::clone)
        };
        if let Some(known) = fresh(&*self.0.read().await) {
            return Ok(known);
        }
        let mut slot = self.0.write().await;
        if let Some(known) = fresh(&slot) {
            return Ok(known);
        }
        match (read(app).await, slot.as_ref()) {
            (Ok(known), _) => {
                let known = Arc::new(known);
                *slot = Some(Arc::clone(&known));
                Ok(known)
            }
            (Err(_), Some(known)) => Ok(Arc::clone(known)),
            (Err(error), None) => Err(error),
        }
    }

    async fn forget(&self) {
        *self.0.write().await = None;
    }

    async fn verifying(&self, app: &App, id: Uuid) -> Result<Option<VerifyingKey>> {
        let known = self.known(app, READ_EVERY).await?;
        if let Some(key) = known.verifying.get(&id) {
            return Ok(Some(key.clone()));
        }
        let known = self.known(app, READ_FOR_UNKNOWN).await?;
        Ok(known.verifying.get(&id).cloned())
    }

    /// The newest key whose time has come.
    async fn signing(&self, app: &App) -> Result<SigningKey> {
        let now = app.ambient.now();
        let known = self.known(app, READ_EVERY).await?;
        let mine = |known: &Known| {
            let due = known.signing.iter().find(|(from, _)| *from <= now);
            due.map(|(_, key)| key.clone())
        };
        let newest = known.signing.first().map(|(from, _)| *from);
        match newest {
            Some(newest) if now.since(newest) > REPLACED_AFTER => {
                let earliest = now.plus(-REPLACED_AFTER);
                make_key(app, now.plus(SIGNS_AFTER), earliest).await?;
            }
            // Only the first key of all: nobody can have asked for it before.
            None => {
                make_key(app, now, Timestamp::from_unix_millis(0)).await?;
                self.forget().await;
            }
            Some(_) => {}
        }
        if let Some(key) = mine(&known) {
            return Ok(key);
        }
        let known = self.known(app, READ_EVERY).await?;
        // A node whose clock is behind the one that made the first key takes it all the same.
        mine(&known)
            .or_else(|| known.signing.last().map(|(_, key)| key.clone()))
            .ok_or_else(|| Error::internal("sign an access token", "there is no key"))
    }
}

async fn read(app: &App) -> Result<Known> {
    let mut known = Known {
        read_at: app.ambient.now(),
        signing: Vec::new(),
        verifying: HashMap::new(),
    };
    for row in db::access_token_keys::list(&app.db).await? {
        let public: Result<[u8; 32], _> = row.public.as_slice().try_into();
        if let Ok(public) = public {
            known.verifying.insert(row.id, VerifyingKey::new(public));
        }
        let seed = app.keys.open(&row.seed, &key_context(row.id))?;
        let key = SigningKey::from_seed(row.id, &seed)?;
        known.signing.push((row.signs_from, key));
    }
    Ok(known)
}

async fn make_key(app: &App, signs_from: Timestamp, unless_after: Timestamp) -> Result<bool> {
    let id = app.ambient.entropy.uuid();
    let seed: [u8; 32] = app.ambient.entropy.bytes();
    let sealed: Sealed = app
        .keys
        .seal(&seed, &key_context(id), app.ambient.entropy.as_ref())?;
    let row = KeyRow {
        id,
        public: SigningKey::from_seed(id, &seed)?.public().to_vec(),
        seed: sealed,
        signs_from,
    };
    db::access_token_keys::insert(&app.db, &row, app.ambient.now(), unless_after).await
}

/// What a key's seed is bound to when it is sealed.
pub fn key_context(id: Uuid) -> String {
    format!("access_token_keys/{id}")
}

/// Makes a new key of access tokens, which every node signs with from 10 seconds on; those that the
/// old one signed stay good for their 15 minutes. Safe to repeat.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn rotate_key(app: &App) -> Result<()> {
    let now = app.ambient.now();
    let known = app.people.keys.known(app, READ_EVERY).await?;
    // The first key of all is needed at once.
    let after = if known.signing.is_empty() {
        Duration::ZERO
    } else {
        SIGNS_AFTER
    };
    make_key(app, now.plus(after), now).await?;
    app.people.keys.forget().await;
    Ok(())
}

/// Forgets keys that sign nothing any more and signed nothing that is still good.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub(super) async fn forget_old_keys(app: &App) -> Result<u64> {
    let after = ACCESS + ACCESS;
    db::access_token_keys::forget_followed(&app.db, app.ambient.now(), after).await
}

/// An access token for a session that was just found or begun.
pub(super) async fn sign(app: &App, claims: &AccessClaims) -> Result<String> {
    app.people.keys.signing(app).await?.sign(claims)
}

/// A person by an access token, before an organisation is chosen.
#[derive(Clone, Debug)]
pub struct PersonByToken {
    pub person_id: PersonId,
    pub session_id: SessionId,
    /// What was named at login.
    preferred: Option<OrganizationId>,
    standing: Arc<Standing>,
}

/// Who shows this access token.
///
/// # Errors
/// `UNAUTHENTICATED` (malformed, signed by nobody of ours, expired, of a session that is over: all
/// alike), `DATABASE_UNAVAILABLE`.
pub async fn recognise(app: &App, token: &str) -> Result<PersonByToken> {
    let id = access_token::key_id(token).ok_or_else(unauthenticated)?;
    let key = app.people.keys.verifying(app, id).await?;
    let claims = key
        .and_then(|key| key.open(token))
        .filter(|claims| claims.holds_at(app.ambient.now()))
        .ok_or_else(unauthenticated)?;
    let (session_id, person_id) = (claims.session_id, claims.person_id);
    let remembered = app.people.standings.get(&(session_id, person_id)).await;
    let standing = if let Some(standing) = remembered {
        standing
    } else {
        let now = app.ambient.now();
        let found = db::sessions::find_standing(&app.db, session_id, person_id, now).await?;
        let standing = Arc::new(found.ok_or_else(unauthenticated)?);
        let (key, copy) = ((session_id, person_id), Arc::clone(&standing));
        app.people.standings.insert(key, copy).await;
        standing
    };
    Ok(PersonByToken {
        person_id,
        session_id,
        preferred: claims.organization_id,
        standing,
    })
}

/// Who shows this access token, in the organisation that is meant.
///
/// # Errors
/// As [`recognise`]; `ORGANIZATION_NOT_FOUND`, `INVALID_REQUEST` (there are several, and none was
/// named).
pub async fn identify(app: &App, token: &str, named: Option<OrganizationId>) -> Result<Caller> {
    let person = recognise(app, token).await?;
    let chosen = person.standing.choose(named, person.preferred);
    let membership = chosen.map_err(|problem| match problem {
        NoChoice::NotAMember => organization_not_found(),
        NoChoice::NameOne => Error::new(
            ErrorCode::InvalidRequest,
            "You belong to several organisations; name one in the header X-Organization-Id",
        ),
    })?;
    Ok(caller(
        person.person_id,
        person.session_id,
        &person.standing,
        membership,
    ))
}

/// A person in an organisation as it is now, whatever is remembered.
///
/// # Errors
/// `UNAUTHENTICATED` (the session is over), `ORGANIZATION_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
pub(in crate::app) async fn identify_anew(
    app: &App,
    (person_id, session_id): (PersonId, SessionId),
    organization_id: OrganizationId,
) -> Result<Caller> {
    let now = app.ambient.now();
    let standing = db::sessions::find_standing(&app.db, session_id, person_id, now).await?;
    let standing = standing.ok_or_else(unauthenticated)?;
    let membership = standing.choose(Some(organization_id), None);
    let membership = membership.map_err(|_| organization_not_found())?;
    Ok(caller(person_id, session_id, &standing, membership))
}

fn caller(
    person_id: PersonId,
    session_id: SessionId,
    standing: &Standing,
    membership: Membership,
) -> Caller {
    Caller {
        organization_id: membership.organization_id,
        principal: Principal::Person {
            person_id,
            session_id,
            role: membership.role,
        },
        environment: Environment::Live,
        scopes: membership.role.scopes(),
        agent_ids: None,
        verified: membership.organization_verified && standing.email_verified,
    }
}

/// The one answer to an organisation that there is not, or that the person does not belong to.
pub fn organization_not_found() -> Error {
    Error::new(
        ErrorCode::OrganizationNotFound,
        "There is no such organisation, or you do not belong to it",
    )
}
