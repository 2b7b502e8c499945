//! As whom the server's programs run.
//!
//! PostgreSQL refuses to run as root, and inside containers root is all there is. Then an
//! unprivileged account of the machine runs it and owns the files; otherwise we ourselves do.
//! Every program of the server is started through [`Account::command`], so none can inherit our
//! working directory, our groups or the `PG…` variables of the surrounding shell.

use std::{
    ffi::OsStr,
    io,
    os::unix::{fs::lchown, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use super::error::PrivatePostgresError;

/// Tried in this order when we are root. `_postgres` is the name on macOS.
const UNPRIVILEGED: [&str; 3] = ["postgres", "_postgres", "nobody"];

/// The user that runs the server and owns its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    /// `None` when we run it ourselves.
    become_user: Option<Ids>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ids {
    user: u32,
    group: u32,
}

impl Account {
    /// Ourselves, or an unprivileged account when we are root.
    ///
    /// `data_owner` is the user and group that own existing data: whoever made it goes on with
    /// it, also when a better account has appeared since.
    pub(super) async fn choose(
        data_owner: Option<(u32, u32)>,
    ) -> Result<Self, PrivatePostgresError> {
        if !are_we_root().await {
            return Ok(Self { become_user: None });
        }
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let owner = data_owner.map(|(user, group)| Ids { user, group });
        let known = UNPRIVILEGED.iter().filter_map(|name| ids_of(name, &passwd));
        let mut tried = Vec::new();
        for ids in owner.into_iter().chain(known).filter(|ids| ids.user != 0) {
            let account = Self {
                become_user: Some(ids),
            };
            match tokio::process::Command::from(account.command("true"))
                .status()
                .await
            {
                Ok(status) if status.success() => return Ok(account),
                Ok(status) => tried.push(format!("user id {}: {status}", ids.user)),
                Err(error) => tried.push(format!("user id {}: {error}", ids.user)),
            }
        }
        if tried.is_empty() {
            tried.push(format!("none of {} exists", UNPRIVILEGED.join(", ")));
        }
        Err(PrivatePostgresError::NoAccount {
            tried: tried.join("; "),
        })
    }

    /// A command that runs as this account, in `/`, with a clean environment.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .current_dir("/")
            .stdin(Stdio::null());
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(ids) = self.become_user {
            command.uid(ids.user).gid(ids.group);
        }
        command
    }

    /// The user id that may own the server's files besides root, when it is not ourselves.
    pub(super) fn user_id(&self) -> Option<u32> {
        self.become_user.map(|ids| ids.user)
    }

    /// Makes this account the owner of a file or directory that we made. A link is not followed:
    /// the account must not get root to give it a file of its choice.
    pub(super) fn hand_over(&self, path: &Path) -> io::Result<()> {
        match self.become_user {
            Some(ids) => lchown(path, Some(ids.user), Some(ids.group)),
            None => Ok(()),
        }
    }

    /// Whether this account can enter `dir` and write there: a parent may be closed to it, as
    /// root's home directory is.
    pub(super) async fn reaches(&self, dir: &Path) -> bool {
        let mut probe = self.command("/bin/sh");
        probe
            .args(["-c", r#"test -x "$1" && test -w "$1""#, "sh"])
            .arg(dir);
        tokio::process::Command::from(probe)
            .status()
            .await
            .is_ok_and(|status| status.success())
    }
}

/// The effective user id can only be asked of the system by a program: std has no call for it.
async fn are_we_root() -> bool {
    tokio::process::Command::new("id")
        .arg("-u")
        .stdin(Stdio::null())
        .output()
        .await
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Looks a name up in the text of `/etc/passwd`.
fn ids_of(name: &str, passwd: &str) -> Option<Ids> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        Some(Ids {
            user: id(fields.nth(1)?)?,
            group: id(fields.next()?)?,
        })
    })
}

/// macOS writes `nobody` as -2, the same number read as signed.
fn id(text: &str) -> Option<u32> {
    let number: i64 = text.parse().ok()?;
    u32::try_from(number.rem_euclid(1 << 32)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        postgresx:x:7:7::/:/bin/sh\n\
        # a comment\n\
        postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n\
        nobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false\n\
        broken:x:many:1::/:/bin/sh\n";

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let ids = ids_of("postgres", PASSWD).unwrap();
        assert_eq!((ids.user, ids.group), (101, 104));
        assert_eq!(ids_of("postgre", PASSWD), None);
        assert_eq!(ids_of("broken", PASSWD), None);
    }

    #[test]
    fn a_negative_id_is_the_same_number_unsigned() {
        assert_eq!(ids_of("nobody", PASSWD).unwrap().user, 4_294_967_294);
    }
}
