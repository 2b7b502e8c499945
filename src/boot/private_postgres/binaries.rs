//! Where the server's programs are.
//!
//! A directory counts only after its `initdb` and `postgres` have run, agreed on their version and
//! named a share directory that exists: a `postgres` copied or linked out of its installation is
//! on many a PATH and can do nothing. They are tried as the account that will run them.

use std::{
    ffi::OsStr,
    fmt::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tokio::time::timeout;

use super::{account::Account, download, error::PrivatePostgresError};

/// The oldest major version that the migrations are written for.
pub(super) const MINIMUM_MAJOR: u32 = 15;

/// None of the questions asked here takes longer than a moment.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Installations outside PATH: parent, prefix of the version's directory, way to the programs.
const INSTALLATIONS: [(&str, &str, &str); 8] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/lib", "postgresql", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/usr/local", "pgsql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// The programs of one working installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    dir: PathBuf,
    share: PathBuf,
    major: u32,
}

impl Binaries {
    /// Finds the programs, downloading them when none are here.
    ///
    /// `data_major` is the version of existing data, which no other version can open.
    pub(super) async fn find(
        account: &Account,
        data_dir: &Path,
        data_major: Option<u32>,
    ) -> Result<Self, PrivatePostgresError> {
        let mut looked_in = String::new();
        for dir in candidates(account).await {
            let why_not = match Self::verify(account, &dir).await {
                Ok(found) if data_major.is_some_and(|major| major != found.major) => {
                    format!("version {}", found.major)
                }
                Ok(found) if found.major < MINIMUM_MAJOR => format!("version {}", found.major),
                Ok(found) => return Ok(found),
                Err(why_not) => why_not,
            };
            write!(looked_in, "\n  {}: {why_not}", dir.display()).ok();
        }
        let download = match download::fetch(account, data_major).await {
            Ok(dir) => match Self::verify(account, &dir.join("bin")).await {
                Ok(found) => return Ok(found),
                Err(why_not) => why_not,
            },
            Err(why_not) => why_not,
        };
        if looked_in.is_empty() {
            looked_in.push_str("PATH and the usual places");
        }
        Err(match data_major {
            Some(major) => PrivatePostgresError::OtherMajor {
                dir: data_dir.to_owned(),
                major,
                download,
            },
            None => PrivatePostgresError::NoPrograms {
                minimum: MINIMUM_MAJOR,
                looked_in,
                download,
            },
        })
    }

    /// Runs the programs of `dir`; the error says in a few words why they are not usable.
    async fn verify(account: &Account, dir: &Path) -> Result<Self, String> {
        let version = |program: &str| {
            let mut command = account.command(dir.join(program));
            command.arg("--version");
            answer(command)
        };
        let server = version("postgres").await?.0;
        let initdb = version("initdb").await?.0;
        let number = |said: &str| said.split_whitespace().nth(2).map(str::to_owned);
        let Some(major) = number(&server).as_deref().and_then(major) else {
            return Err(format!("`postgres --version` says {server:?}"));
        };
        if number(&server) != number(&initdb) {
            return Err("its `initdb` is of another version".to_owned());
        }
        let mut show = account.command(dir.join("initdb"));
        show.args(["--show", "--pgdata=/nonexistent"]);
        let (said, also) = answer(show).await?;
        let share = also
            .lines()
            .chain(said.lines())
            .find_map(|line| line.strip_prefix("share_path="))
            .map(PathBuf::from)
            .filter(|share| share.join("postgres.bki").is_file())
            .ok_or("its share directory is missing")?;
        Ok(Self {
            dir: dir.to_owned(),
            share,
            major,
        })
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Whether `pg_stat_statements` can be preloaded; a server told to preload a library that is
    /// missing does not start.
    pub(super) async fn has_statement_statistics(&self, account: &Account) -> bool {
        let mut ask = account.command(self.program("pg_config"));
        ask.arg("--pkglibdir");
        let told = answer(ask).await.map(|(dir, _)| PathBuf::from(dir.trim()));
        let control = self.share.join("extension/pg_stat_statements.control");
        let libraries = told
            .into_iter()
            .chain([self.dir.join("../lib"), self.dir.join("../lib/postgresql")]);
        control.is_file()
            && libraries.into_iter().any(|dir| {
                ["so", "dylib"].iter().any(|ending| {
                    dir.join("pg_stat_statements")
                        .with_extension(ending)
                        .is_file()
                })
            })
    }
}

/// Directories with a `postgres`, the likeliest first, each once.
async fn candidates(account: &Account) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path)
        .filter_map(|dir| real(&dir))
        .collect();
    let mut ask = account.command("pg_config");
    ask.arg("--bindir");
    if let Ok((dir, _)) = answer(ask).await {
        dirs.extend(real(Path::new(dir.trim())));
    }
    for (parent, prefix, below) in INSTALLATIONS {
        dirs.extend(
            versions(Path::new(parent), prefix)
                .iter()
                .filter_map(|dir| real(&dir.join(below))),
        );
    }
    dirs.extend(
        versions(&download::cache_dir(account), download::DIR_PREFIX)
            .iter()
            .filter_map(|dir| real(&dir.join("bin"))),
    );
    let mut once: Vec<PathBuf> = Vec::new();
    for dir in dirs {
        if !once.contains(&dir) {
            once.push(dir);
        }
    }
    once
}

/// The directory in which `dir`'s `postgres` really lies, links followed.
fn real(dir: &Path) -> Option<PathBuf> {
    let postgres = dir.join("postgres").canonicalize().ok()?;
    postgres
        .is_file()
        .then(|| postgres.parent().map(Path::to_owned))?
}

/// The directories of `parent` whose name starts with `prefix`, the newest version first.
fn versions(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?;
            let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
            Some((major(digits).unwrap_or(0), entry.path()))
        })
        .collect();
    found.sort_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, dir)| dir).collect()
}

/// The major version of `15.4`, `17beta1` or `18devel`.
fn major(version: &str) -> Option<u32> {
    let end = version
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(version.len());
    version.get(..end)?.parse().ok()
}

/// What a program writes to its two outputs, or in a few words why it failed.
async fn answer(command: Command) -> Result<(String, String), String> {
    let program = command.get_program().to_owned();
    let name = Path::new(&program)
        .file_name()
        .unwrap_or(OsStr::new("it"))
        .display();
    let mut command = tokio::process::Command::from(command);
    let output = match timeout(ANSWER_LIMIT, command.kill_on_drop(true).output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("{name}: {error}")),
        Err(_) => return Err(format!("{name} does not answer")),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok((text(&output.stdout), text(&output.stderr)));
    }
    let said = text(&output.stderr);
    let last = said.lines().last().unwrap_or("it failed without a word");
    Err(format!("{name}: {last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_releases_and_previews() {
        for (text, expected) in [
            ("15.18", Some(15)),
            ("17beta1", Some(17)),
            ("18devel", Some(18)),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(major(text), expected, "{text}");
        }
    }
}
