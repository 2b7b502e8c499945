//! What can go wrong with a private PostgreSQL, each with what to do about it.
//!
//! These texts are read by a person who has just typed `onhook dev` and knows nothing of this
//! folder, so every one names the next step.

use std::{io, path::PathBuf};

/// Why a private PostgreSQL did not start, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PrivatePostgresError {
    #[error(
        "no PostgreSQL server programs (version {minimum} or newer) on this machine, and none \
         could be downloaded: {download}.\n\
         Install them: Debian or Ubuntu `apt-get install postgresql`, Fedora `dnf install \
         postgresql-server`, macOS `brew install postgresql@17`;\n\
         or set DATABASE_URL to a running server.\nLooked in: {looked_in}"
    )]
    NoPrograms {
        minimum: u32,
        looked_in: String,
        download: String,
    },

    #[error(
        "the data in {} was made by PostgreSQL {major}, whose server programs are not here and \
         could not be downloaded: {download}. Install that version, or delete the directory to \
         start with an empty database", dir.display()
    )]
    OtherMajor {
        dir: PathBuf,
        major: u32,
        download: String,
    },

    #[error(
        "another onhook is using the database in {}: stop it first, or give this one another data \
         directory", dir.display()
    )]
    InUse { dir: PathBuf },

    #[error(
        "the database in {} was left running and does not stop; see who holds {} (`lsof`) and end \
         it", dir.display(), dir.join("server.lock").display()
    )]
    DoesNotStop { dir: PathBuf },

    #[error(
        "PostgreSQL refuses to run as root and no other account of this machine could be used \
         ({tried}). Run onhook as an ordinary user, or set DATABASE_URL to a running server"
    )]
    NoAccount { tried: String },

    #[error(
        "{} belongs to somebody else (user id {owner}) and will not be used for the database: \
         delete it, or give onhook another data directory", dir.display()
    )]
    ForeignDirectory { dir: PathBuf, owner: u32 },

    #[error(
        "{} is not empty and was not made by onhook: name an empty or new directory for the \
         database", dir.display()
    )]
    NotOurDirectory { dir: PathBuf },

    #[error(
        "the database in {} cannot be opened, its password is missing or wrong: delete the \
         directory to start with an empty database", dir.display()
    )]
    PasswordLost { dir: PathBuf },

    #[error("could not {action} {}: {source}; check that the disk has room and the permissions \
             allow it", path.display())]
    Files {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },

    #[error("could not run {}: {source}; set DATABASE_URL to a running server instead", program.display())]
    Program { program: PathBuf, source: io::Error },

    #[error("PostgreSQL could not create its data directory. It said:\n{output}")]
    InitDb { output: String },

    #[error("PostgreSQL ended while starting. The end of its log, {}:\n{tail}", log.display())]
    Ended { log: PathBuf, tail: String },

    #[error(
        "PostgreSQL did not answer within {limit_secs} s ({last}). The end of its log, {}:\n{tail}",
        log.display()
    )]
    NotReady {
        limit_secs: u64,
        last: String,
        log: PathBuf,
        tail: String,
    },

    #[error(
        "`{0}` cannot name a database: use 1 to 63 of the characters a-z, 0-9 and _, a letter first"
    )]
    DatabaseName(String),

    #[error("could not create the database {name}: {source}")]
    CreateDatabase { name: String, source: sqlx::Error },
}

impl PrivatePostgresError {
    pub(super) fn files(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Files {
            action,
            path,
            source,
        }
    }
}
