//! A PostgreSQL of our own, for `onhook dev` and the tests, with nothing to configure.
//!
//! It needs the server programs of PostgreSQL on the machine (`binaries`), or the network to
//! fetch them (`download`); it works for an ordinary user and for root (`account`); its files are
//! in one directory that one onhook uses at a time (`home`); and it ends when we end, however that
//! happens (`server`). Production never comes here: it is given a `DATABASE_URL`.
//!
//! What a start does, in order:
//! 1. settle on the directory and the account,
//! 2. find the programs,
//! 3. take the directory's locks, waiting for or ending what an earlier run left behind,
//! 4. draw a password and create the data, if there is none,
//! 5. run the server on a free port of 127.0.0.1 until it answers.

mod account;
mod binaries;
mod download;
mod error;
mod home;
mod server;
#[cfg(test)]
mod tests;

use std::{net::TcpListener, path::PathBuf, time::Duration};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::timeout;

pub use error::PrivatePostgresError;

use self::{
    binaries::Binaries,
    home::{Home, Lock},
    server::{Server, ticks},
};
use crate::ambient::Entropy;

/// Between a process's fork and exec its child holds our locks too, for a moment.
const IN_USE_LIMIT: Duration = Duration::from_secs(1);

/// How long an earlier server may take to stop by itself. Telling one that is stopping to stop
/// does no harm, so this need not be generous.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);

/// The same after it was told to stop, which has its own time limit.
const ENDING_LIMIT: Duration = Duration::from_secs(5);

/// The free port found may be taken before the server gets to it; and then again.
const PORT_ATTEMPTS: u32 = 5;

/// What is wanted of a private PostgreSQL.
#[derive(Debug, Clone)]
pub struct Options {
    /// Made if missing. Everything is in it, except when root runs onhook from a place that no
    /// other account can reach: then in a directory of /var/tmp derived from this one.
    pub data_dir: PathBuf,
    /// `false` is for tests: a crash of the server loses its last commits, one of the machine may
    /// destroy the data.
    pub durable: bool,
    /// `false` removes the data when the server stops.
    pub keep: bool,
    pub max_connections: u32,
}

/// A running private PostgreSQL. Dropping it stops the server too, without waiting for it.
#[derive(Debug)]
pub struct PrivatePostgres {
    server: Server,
    home: Home,
    password: String,
    durable: bool,
    keep: bool,
    /// Held as long as we live, so that a second onhook is told.
    _owner: Lock,
}

impl PrivatePostgres {
    /// Starts the server and returns once it answers; the first start of a directory takes
    /// seconds, later ones a fraction of one.
    ///
    /// Safe to cancel: what was begun ends by itself, and the next start copes with it.
    pub async fn start(
        options: Options,
        entropy: &dyn Entropy,
    ) -> Result<Self, PrivatePostgresError> {
        let home = Home::settle(&options.data_dir).await?;
        let found = Binaries::find(&home.account, &home.path("data"), home.data_major()).await;
        if found.is_err() {
            // Only an empty directory goes, as it is when it was made for this start.
            std::fs::remove_dir(home.dir()).ok();
        }
        let binaries = found?;
        let (owner, lock) = take_over(&home, &binaries).await?;
        let password = home.password(entropy)?;
        if home.data_major().is_none() {
            server::initialize(&home, &binaries, &options, &lock).await?;
        }
        // Nothing of an earlier server is alive, so its record only stands in the way.
        let stale = home.path("data/postmaster.pid");
        home::remove(&stale).map_err(PrivatePostgresError::files("remove", stale))?;
        let server = start_on_free_port(&home, &binaries, &options, &lock, &password).await?;
        home.record_port(server.port)?;
        Ok(Self {
            server,
            home,
            password,
            durable: options.durable,
            keep: options.keep,
            _owner: owner,
        })
    }

    /// The URL of one of its databases, for the superuser `onhook`.
    pub fn url(&self, database: &str) -> String {
        url(&self.password, self.server.port, database)
    }

    /// Creates a database; one that exists is left as it is.
    ///
    /// A name is 1 to 63 of the characters `a-z`, `0-9` and `_`, a letter first.
    pub async fn create_database(&self, name: &str) -> Result<(), PrivatePostgresError> {
        const DUPLICATE_DATABASE: &str = "42P04";
        match self.create(name, "template1").await {
            Err(PrivatePostgresError::CreateDatabase { source, .. })
                if source
                    .as_database_error()
                    .is_some_and(|error| error.code().as_deref() == Some(DUPLICATE_DATABASE)) =>
            {
                Ok(())
            }
            created => created,
        }
    }

    /// Creates a database as a copy of another, to which nobody may be connected. One that exists
    /// is an error: it would not be such a copy.
    pub async fn create_database_from(
        &self,
        name: &str,
        template: &str,
    ) -> Result<(), PrivatePostgresError> {
        self.create(name, template).await
    }

    /// Stops the server in order and waits for it, then removes the data unless it is kept.
    ///
    /// A server that does not end in time is left to its watchdog, which goes on stopping it.
    pub async fn stop(mut self) -> Result<(), PrivatePostgresError> {
        if !self.server.stop().await {
            return Err(PrivatePostgresError::DoesNotStop {
                dir: self.home.dir().to_owned(),
            });
        }
        if self.keep {
            Ok(())
        } else {
            self.home.remove()
        }
    }

    async fn create(&self, name: &str, template: &str) -> Result<(), PrivatePostgresError> {
        // Copying files needs two checkpoints, which cost nothing where nothing waits for the disk;
        // then it takes half the time of copying through the log.
        let strategy = if self.durable { "WAL_LOG" } else { "FILE_COPY" };
        let statement = format!(
            "CREATE DATABASE {} TEMPLATE {} STRATEGY {strategy}",
            checked_name(name)?,
            checked_name(template)?
        );
        let failed = |source| PrivatePostgresError::CreateDatabase {
            name: name.to_owned(),
            source,
        };
        let mut connection = PgConnection::connect(&self.url("postgres"))
            .await
            .map_err(failed)?;
        // No parameter can stand for a name; these two consist of letters, digits and `_` only.
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .map_err(failed)?;
        connection.close().await.map_err(failed)
    }
}

/// Takes both locks of the directory.
///
/// Who cannot get the owner's lock has a living onhook before him. The server's lock may be held
/// by a server that is just stopping, which is waited for, or by one that lost its watchdog, which
/// is stopped. A server that does not keep its data removes the directory at its end, locks
/// included: then it is begun again.
async fn take_over(home: &Home, binaries: &Binaries) -> Result<(Lock, Lock), PrivatePostgresError> {
    const ROUNDS: u32 = 3;
    for _ in 0..ROUNDS {
        let Some(owner) = lock_within(IN_USE_LIMIT, home, "owner.lock").await? else {
            return Err(PrivatePostgresError::InUse {
                dir: home.dir().to_owned(),
            });
        };
        let mut server = lock_within(SHUTDOWN_LIMIT, home, "server.lock").await?;
        for mode in ["fast", "immediate"] {
            if server.is_none() {
                server::stop_orphan(home, binaries, mode).await;
                server = lock_within(ENDING_LIMIT, home, "server.lock").await?;
            }
        }
        if let Some(server) = server
            && server.is_current()
            && owner.is_current()
        {
            return Ok((owner, server));
        }
    }
    Err(PrivatePostgresError::DoesNotStop {
        dir: home.dir().to_owned(),
    })
}

async fn lock_within(
    limit: Duration,
    home: &Home,
    name: &str,
) -> Result<Option<Lock>, PrivatePostgresError> {
    let locked = async {
        let mut ticks = ticks();
        loop {
            ticks.tick().await;
            match home.try_lock(name) {
                Ok(None) => {}
                Ok(Some(lock)) => return Ok(Some(lock)),
                Err(error) => return Err(error),
            }
        }
    };
    timeout(limit, locked).await.unwrap_or(Ok(None))
}

async fn start_on_free_port(
    home: &Home,
    binaries: &Binaries,
    options: &Options,
    lock: &Lock,
    password: &str,
) -> Result<Server, PrivatePostgresError> {
    let mut attempt = 1;
    loop {
        let port = free_port(home.last_port().filter(|_| attempt == 1)).map_err(
            PrivatePostgresError::files("find a free port for", home.dir()),
        )?;
        let url = url(password, port, "postgres");
        match Server::start(home, binaries, options, lock, port, &url).await {
            Err(PrivatePostgresError::Ended { tail, .. })
                if attempt < PORT_ATTEMPTS && tail.contains("Address already in use") =>
            {
                attempt += 1;
            }
            started => return started,
        }
    }
}

/// The preferred port if it is free, or any that is.
fn free_port(preferred: Option<u16>) -> std::io::Result<u16> {
    let bound = preferred
        .and_then(|port| TcpListener::bind(("127.0.0.1", port)).ok())
        .map_or_else(|| TcpListener::bind(("127.0.0.1", 0)), Ok)?;
    Ok(bound.local_addr()?.port())
}

/// The server has no certificate, and `PGSSLMODE` of the surrounding shell must not ask for one.
fn url(password: &str, port: u16, database: &str) -> String {
    format!("postgres://onhook:{password}@127.0.0.1:{port}/{database}?sslmode=disable")
}

fn checked_name(name: &str) -> Result<&str, PrivatePostgresError> {
    let fits = name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if fits {
        Ok(name)
    } else {
        Err(PrivatePostgresError::DatabaseName(name.to_owned()))
    }
}
