//! Connections that go from one statement to the next without a question to the server in between.
//!
//! sqlx's pool asks the server whether a connection still lives each time it is given back, in a task
//! of its own: as much work again as a short statement. Here a connection whose statement was
//! answered is kept for the next one; one whose statement failed, or was dropped before its answer,
//! goes back to sqlx's pool, which asks. Opening, closing, and how old a connection may become stay
//! with that pool.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{
    TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream, StreamExt as _},
};
use sqlx::{
    Describe, Either, Execute, Executor, PgConnection, PgPool, Postgres, SqlStr,
    pool::PoolConnection,
    postgres::{
        PgDatabaseError, PgQueryResult, PgRow,
        PgSeverity::{Fatal, Panic},
        PgStatement, PgTypeInfo,
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a connection is kept from sqlx's pool, which closes the idle and the old.
const KEPT: Duration = Duration::from_mins(5);

/// sqlx's pool, and the connections of it that are kept. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connections {
    pool: PgPool,
    kept: Arc<Mutex<Vec<Kept>>>,
    /// As many as the pool has connections, in the order of asking.
    places: Arc<Semaphore>,
    patience: Duration,
}

struct Kept {
    connection: PoolConnection<Postgres>,
    since: Instant,
}

/// A connection for one statement.
pub(super) struct Taken {
    /// `None`: given back.
    connection: Option<Kept>,
    home: Connections,
    /// Whether its last statement was answered.
    answered: bool,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    /// Waits for a connection for `patience` at most; the first is opened by the first statement.
    pub(super) fn new(pool: PgPool, patience: Duration) -> Self {
        let most = usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX);
        Self {
            pool,
            kept: Arc::default(),
            places: Arc::new(Semaphore::new(most)),
            patience,
        }
    }

    /// A connection that nobody else uses.
    ///
    /// # Errors
    /// `PoolTimedOut`, `PoolClosed`, and whatever opening one fails with.
    pub(super) async fn take(&self) -> sqlx::Result<Taken> {
        let waiting = Arc::clone(&self.places).acquire_owned();
        let place = tokio::time::timeout(self.patience, waiting)
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
            .map_err(|_| sqlx::Error::PoolClosed)?;
        let kept = self.lock().pop();
        let connection = match kept {
            Some(kept) => kept,
            None => Kept {
                connection: self.pool.acquire().await?,
                since: Instant::now(),
            },
        };
        Ok(Taken {
            connection: Some(connection),
            home: self.clone(),
            answered: false,
            _place: place,
        })
    }

    /// Open connections, and those that no statement uses.
    pub(super) fn count(&self) -> (u32, usize) {
        let kept = self.lock().len();
        (self.pool.size(), self.pool.num_idle() + kept)
    }

    /// Closes every connection when its statement is answered.
    pub(super) async fn close(&self) {
        let closing = self.pool.close();
        // From here on no connection is kept, see `keep`.
        drop(mem::take(&mut *self.lock()));
        closing.await;
    }

    fn keep(&self, connection: Kept) {
        let mut kept = self.lock();
        if self.pool.is_closed() || connection.since.elapsed() > KEPT {
            drop(kept);
            drop(connection);
            return;
        }
        // The last kept is the first taken: the first of them was not needed for the longest time.
        let unneeded = kept
            .first()
            .is_some_and(|first| first.since.elapsed() > KEPT)
            .then(|| kept.remove(0));
        kept.push(connection);
        drop(kept);
        drop(unneeded);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// The connection, to run a statement whose answer goes to [`Self::heard`].
    ///
    /// # Errors
    /// `PoolClosed`: never, while it is not given back.
    fn ask(&mut self) -> sqlx::Result<&mut PgConnection> {
        self.answered = false;
        let kept = self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        Ok(&mut kept.connection)
    }

    /// Notes the statement's answer. When there was none, or the server hung up with it, those that are
    /// kept go to sqlx's pool too: the server is probably gone for all of them.
    fn heard<T>(mut self, answer: sqlx::Result<T>) -> sqlx::Result<T> {
        self.answered = match &answer {
            Ok(_) | Err(sqlx::Error::RowNotFound) => true,
            Err(sqlx::Error::Database(refusal)) => refusal
                .try_downcast_ref::<PgDatabaseError>()
                .is_none_or(|refusal| !matches!(refusal.severity(), Fatal | Panic)),
            Err(_) => false,
        };
        if !self.answered {
            drop(mem::take(&mut *self.home.lock()));
        }
        answer
    }

    /// The connection for good: it is not given back.
    pub(super) fn detach(mut self) -> Option<PgConnection> {
        self.connection.take().map(|kept| kept.connection.detach())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.answered
        {
            self.home.keep(connection);
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

impl<'p> Executor<'p> for &'_ Connections {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        let connections = self.clone();
        let all = async move {
            let mut taken = connections.take().await?;
            let steps = taken.ask()?.fetch_many(query).try_collect::<Vec<_>>().await;
            let steps = taken.heard(steps)?.into_iter();
            Ok::<_, sqlx::Error>(stream::iter(steps.map(Ok)))
        };
        stream::once(all).try_flatten().boxed()
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Vec<PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let connections = self.clone();
        Box::pin(async move {
            let mut taken = connections.take().await?;
            let rows = taken.ask()?.fetch_all(query).await;
            taken.heard(rows)
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        let connections = self.clone();
        Box::pin(async move {
            let mut taken = connections.take().await?;
            let row = taken.ask()?.fetch_optional(query).await;
            taken.heard(row)
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'p: 'e,
    {
        let connections = self.clone();
        Box::pin(async move {
            let mut taken = connections.take().await?;
            let statement = taken.ask()?.prepare_with(sql, parameters).await;
            taken.heard(statement)
        })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'p: 'e,
    {
        let connections = self.clone();
        Box::pin(async move {
            let mut taken = connections.take().await?;
            let described = taken.ask()?.describe(sql).await;
            taken.heard(described)
        })
    }
}
