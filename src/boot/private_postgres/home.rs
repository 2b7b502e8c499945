//! The directory of one private PostgreSQL: where it is, who uses it, what lies in it.
//!
//! | name | what |
//! |---|---|
//! | `data` | the cluster; `data.new` while `initdb` has not finished |
//! | `password` | of the superuser, hexadecimal, for the owner's eyes |
//! | `port` | the last one used, so that a second start is found at the same place |
//! | `server.log` | what the server said since its last start |
//! | `owner.lock` | held by the onhook process that uses the directory |
//! | `server.lock` | held by every process of a server, until the last one has ended |
//!
//! Locks belong to open files, so the system lets go of them however a process dies. A free
//! `server.lock` therefore proves that no process of an earlier server is alive, which a process id
//! in a file never can.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{account::Account, error::PrivatePostgresError};
use crate::ambient::Entropy;

/// Everything that may lie in the directory, in the order in which it is removed.
pub(super) const CONTENTS: [&str; 8] = [
    "data",
    "data.new",
    "password",
    "password.new",
    "port",
    "server.log",
    "server.lock",
    "owner.lock",
];

/// A directory that the account can use.
#[derive(Debug, Clone)]
pub(super) struct Home {
    dir: PathBuf,
    pub(super) account: Account,
}

impl Home {
    /// Finds the directory for `wanted`, creating it when needed.
    ///
    /// When root runs the server as another account and that account cannot reach `wanted` (a
    /// clone below a closed home directory), the data goes to a directory of /var/tmp whose name
    /// is derived from `wanted`, so that a second start finds it.
    pub(super) async fn settle(wanted: &Path) -> Result<Self, PrivatePostgresError> {
        let wanted =
            std::path::absolute(wanted).map_err(PrivatePostgresError::files("find", wanted))?;
        let refuge = refuge_for(&wanted);
        let places = [&wanted, &refuge];
        let with_data = places
            .iter()
            .find(|dir| dir.join("data/PG_VERSION").exists());
        let owner = with_data
            .and_then(|dir| dir.join("data").metadata().ok())
            .map(|data| (data.uid(), data.gid()));
        let account = Account::choose(owner).await?;
        if account.user_id().is_none() {
            let home = Self {
                dir: wanted,
                account,
            };
            home.create()?;
            return Ok(home);
        }
        let preferred = with_data.copied().unwrap_or(&wanted);
        for dir in [preferred, &wanted, &refuge] {
            let is_new = !dir.exists();
            let home = Self {
                dir: dir.clone(),
                account: account.clone(),
            };
            home.create()?;
            if home.account.reaches(dir).await {
                return Ok(home);
            }
            if is_new {
                std::fs::remove_dir(dir).ok();
            }
        }
        Err(PrivatePostgresError::NoAccount {
            tried: format!(
                "it can use neither {} nor {}",
                wanted.display(),
                refuge.display()
            ),
        })
    }

    /// Makes the directory if it is missing. An existing one must be ours: the server's data must
    /// not mingle with somebody's files, nor be laid into a directory somebody else controls.
    fn create(&self) -> Result<(), PrivatePostgresError> {
        let dir = &self.dir;
        if let Some(parent) = dir.parent() {
            std::fs::create_dir_all(parent)
                .map_err(PrivatePostgresError::files("create", parent))?;
        }
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.check()?,
            made => made.map_err(PrivatePostgresError::files("create", dir))?,
        }
        self.account
            .hand_over(dir)
            .map_err(PrivatePostgresError::files("hand over", dir))
    }

    fn check(&self) -> Result<(), PrivatePostgresError> {
        let dir = &self.dir;
        let found = match self.account.user_id() {
            Some(_) => dir.symlink_metadata(),
            None => dir.metadata(),
        };
        let found = found.map_err(PrivatePostgresError::files("look at", dir))?;
        if let Some(user) = self.account.user_id()
            && ![0, user].contains(&found.uid())
        {
            return Err(PrivatePostgresError::ForeignDirectory {
                dir: dir.clone(),
                owner: found.uid(),
            });
        }
        // Once it is ours, what a desktop drops into every directory does not make it foreign.
        let mut names = std::fs::read_dir(dir)
            .map_err(PrivatePostgresError::files("read", dir))?
            .filter_map(|entry| Some(entry.ok()?.file_name()));
        let ours = found.is_dir()
            && (self.path("owner.lock").exists()
                || names.all(|name| CONTENTS.iter().any(|content| name == **content)));
        if ours {
            Ok(())
        } else {
            Err(PrivatePostgresError::NotOurDirectory { dir: dir.clone() })
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The major version that made the data, when there is data.
    pub(super) fn data_major(&self) -> Option<u32> {
        let version = std::fs::read_to_string(self.path("data/PG_VERSION")).ok()?;
        version.trim().parse().ok()
    }

    /// Takes a lock file, or `None` while another process has it. The file is made if missing.
    ///
    /// A server that is stopping may remove the file between our opening and locking it, so the
    /// lock only counts when it is still the one to be found by its name.
    pub(super) fn try_lock(&self, name: &str) -> Result<Option<Lock>, PrivatePostgresError> {
        self.create()?;
        let path = self.path(name);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(PrivatePostgresError::files("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => {
                return Err(PrivatePostgresError::files("lock", path)(source));
            }
        }
        let lock = Lock { file, path };
        Ok(lock.is_current().then_some(lock))
    }

    /// The superuser's password, drawn and stored at the first call.
    pub(super) fn password(&self, entropy: &dyn Entropy) -> Result<String, PrivatePostgresError> {
        let path = self.path("password");
        if let Ok(password) = std::fs::read_to_string(&path) {
            return Ok(password);
        }
        if self.data_major().is_some() {
            return Err(PrivatePostgresError::PasswordLost {
                dir: self.dir.clone(),
            });
        }
        let mut secret = [0; 24];
        entropy.fill(&mut secret);
        let password = hex(&secret);
        let unfinished = self.path("password.new");
        self.write(&unfinished, password.as_bytes())?;
        std::fs::rename(&unfinished, &path).map_err(PrivatePostgresError::files("write", &path))?;
        Ok(password)
    }

    /// The port of the last start, when it was recorded.
    pub(super) fn last_port(&self) -> Option<u16> {
        std::fs::read_to_string(self.path("port"))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    pub(super) fn record_port(&self, port: u16) -> Result<(), PrivatePostgresError> {
        self.write(&self.path("port"), port.to_string().as_bytes())
    }

    /// An empty file for the server's log.
    pub(super) fn new_log(&self) -> Result<File, PrivatePostgresError> {
        let path = self.path("server.log");
        self.open_new(&path)
            .map_err(PrivatePostgresError::files("open", path))
    }

    /// The last 20 lines of the server's log.
    pub(super) fn log_tail(&self) -> String {
        let log = std::fs::read(self.path("server.log")).unwrap_or_default();
        last_lines(&String::from_utf8_lossy(&log))
    }

    /// Removes the whole directory. Names that we did not make stay, and the directory with them.
    pub(super) fn remove(&self) -> Result<(), PrivatePostgresError> {
        for name in CONTENTS {
            let path = self.path(name);
            remove(&path).map_err(PrivatePostgresError::files("remove", path))?;
        }
        match std::fs::remove_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            gone => gone.map_err(PrivatePostgresError::files("remove", &self.dir)),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), PrivatePostgresError> {
        self.open_new(path)
            .and_then(|mut file| file.write_all(bytes))
            .map_err(PrivatePostgresError::files("write", path))
    }

    /// The directory belongs to the account, which could have left a link here for root to write
    /// through, so whatever has the name is replaced and never opened.
    fn open_new(&self, path: &Path) -> io::Result<File> {
        remove(path)?;
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        self.account.hand_over(path)?;
        Ok(file)
    }
}

/// A held lock; dropping it, or the end of the process, lets go of it.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Whether the locked file is still the one at its path.
    pub(super) fn is_current(&self) -> bool {
        let held = self.file.metadata().map(|held| (held.dev(), held.ino()));
        let named = self.path.metadata().map(|named| (named.dev(), named.ino()));
        matches!((held, named), (Ok(held), Ok(named)) if held == named)
    }

    /// A second handle of the same lock: it is held until both are closed.
    pub(super) fn share(&self) -> Result<File, PrivatePostgresError> {
        self.file
            .try_clone()
            .map_err(PrivatePostgresError::files("share", &self.path))
    }
}

/// Removes a file or directory; a missing one is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The last 20 lines of a text.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(20);
    lines.get(from..).unwrap_or_default().join("\n")
}

/// The place for `wanted` that every account can reach.
fn refuge_for(wanted: &Path) -> PathBuf {
    let digest = Sha256::digest(wanted.as_os_str().as_encoded_bytes());
    let name = hex(digest.get(..8).unwrap_or_default());
    Path::new("/var/tmp").join(format!("onhook-postgres-{name}"))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refuge_of_a_directory_is_always_the_same_and_of_another_one_another() {
        let refuge = refuge_for(Path::new("/srv/onhook/.onhook/postgres"));
        assert_eq!(
            refuge,
            refuge_for(Path::new("/srv/onhook/.onhook/postgres"))
        );
        assert_ne!(refuge, refuge_for(Path::new("/srv/other/.onhook/postgres")));
        assert_eq!(refuge.parent(), Some(Path::new("/var/tmp")));
    }

    #[test]
    fn only_the_end_of_a_long_log_is_shown() {
        let log: Vec<String> = (1..=30).map(|line| format!("line {line}")).collect();
        let tail = last_lines(&log.join("\n"));
        assert!(tail.starts_with("line 11\n") && tail.ends_with("line 30"));
        assert_eq!(last_lines("one\n"), "one");
    }

    #[test]
    fn bytes_are_written_with_two_digits_each() {
        assert_eq!(hex(&[0, 9, 0x1f, 0xff]), "00091fff");
    }
}
