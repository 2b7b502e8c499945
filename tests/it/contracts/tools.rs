//! Where the things are that these tests use and this repository does not hold. Nothing is
//! installed from here: `scripts/contract-tools` does that, and the tests use what is there.
//!
//! | what | where | else |
//! |---|---|---|
//! | the providers' `OpenAPI` documents | `ONHOOK_SPECS`, a folder | `shared/specs` beside the clone |
//! | Prism | `ONHOOK_PRISM`, a program | `prism-VERSION` in the cache |
//! | the providers' Python packages, and that of Standard Webhooks | `ONHOOK_CONTRACT_TOOLS`, a folder for all | `PACKAGE-VERSION` in the cache |
//! | the package of Standard Webhooks for Node.js | the same | `npm-PACKAGE-VERSION` in the cache |
//!
//! The cache is `ONHOOK_CONTRACT_TOOLS`, or else `onhook-ci/contract-tools` in the user's own.
//! Versions are those of `pins.txt`.

use std::{
    env::var_os,
    path::{Path, PathBuf},
    process::Stdio,
};

use onhook::cli::terminal;
use tokio::process::Command;

const PINS: &str = include_str!("pins.txt");

/// Something is not there: which, and what would change that.
#[derive(Debug)]
pub struct Missing(String);

impl Missing {
    /// Says on standard error that `what` was skipped, and why.
    pub fn skips(&self, what: &str) {
        terminal::complain(&format!("skipped: {what}: {}", self.0));
    }
}

/// A provider's document, by its path in the folder of all.
pub fn document(path: &str) -> Result<PathBuf, Missing> {
    let folder = var_os("ONHOOK_SPECS").map_or_else(beside_the_clone, PathBuf::from);
    let document = folder.join(path);
    if document.is_file() {
        Ok(document)
    } else {
        Err(Missing(format!(
            "there is no {path} in the folder of documents (ONHOOK_SPECS)"
        )))
    }
}

fn beside_the_clone() -> PathBuf {
    let clone = Path::new(env!("CARGO_MANIFEST_DIR"));
    clone.join("..").join("shared").join("specs")
}

/// The program `prism`, which Node.js runs.
pub async fn prism() -> Result<PathBuf, Missing> {
    let program = match var_os("ONHOOK_PRISM") {
        Some(program) => PathBuf::from(program),
        None => installed("npm", "@stoplight/prism-cli", "prism")?
            .join("node_modules")
            .join(".bin")
            .join("prism"),
    };
    let version = Command::new(&program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .await;
    match version {
        Ok(output) if output.status.success() => Ok(program),
        Ok(output) => Err(Missing(format!(
            "prism does not run: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
        Err(error) => Err(Missing(format!(
            "prism does not run ({error}); scripts/contract-tools installs it"
        ))),
    }
}

/// The folder that Python is to import `package` from.
pub async fn python_package(package: &str) -> Result<PathBuf, Missing> {
    let folder = installed("pip", package, package)?;
    if !folder.is_dir() {
        let version = folder.file_name().unwrap_or_default().display();
        return Err(Missing(format!(
            "there is no {version}; scripts/contract-tools installs it"
        )));
    }
    let imported = Command::new("python3")
        .args(["-c", &format!("import {package}")])
        .env("PYTHONPATH", &folder)
        .stdin(Stdio::null())
        .output()
        .await;
    match imported {
        Ok(output) if output.status.success() => Ok(folder),
        Ok(output) => Err(Missing(format!(
            "python3 cannot import {package}: {}",
            String::from_utf8_lossy(&output.stderr)
                .lines()
                .last()
                .unwrap_or_default()
        ))),
        Err(error) => Err(Missing(format!("python3 does not run: {error}"))),
    }
}

/// The folder whose `node_modules` hold `package`, if Node.js runs.
pub async fn node_package(package: &str) -> Result<PathBuf, Missing> {
    let folder = installed("npm", package, &format!("npm-{package}"))?;
    if !folder.join("node_modules").join(package).is_dir() {
        let version = folder.file_name().unwrap_or_default().display();
        return Err(Missing(format!(
            "there is no {version}; scripts/contract-tools installs it"
        )));
    }
    let version = Command::new("node")
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .await;
    match version {
        Ok(output) if output.status.success() => Ok(folder),
        Ok(_) => Err(Missing("node does not run".to_owned())),
        Err(error) => Err(Missing(format!("node does not run: {error}"))),
    }
}

/// Where the pinned version of `package` is in the cache, under its short name.
fn installed(registry: &str, package: &str, name: &str) -> Result<PathBuf, Missing> {
    let version = PINS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let mut words = line.split_whitespace();
            let is_it = words.next() == Some(registry) && words.next() == Some(package);
            is_it.then(|| words.next())?
        })
        .expect("pins.txt names the package");
    let of_user = || {
        let cache = var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(var_os("HOME")?).join(".cache")));
        Some(cache?.join("onhook-ci").join("contract-tools"))
    };
    let cache = var_os("ONHOOK_CONTRACT_TOOLS").map(PathBuf::from);
    let cache = cache.or_else(of_user);
    cache
        .map(|cache| cache.join(format!("{name}-{version}")))
        .ok_or_else(|| Missing("there is no home folder, so no cache".to_owned()))
}
