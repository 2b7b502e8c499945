//! Mails of `onhook dev` land in a folder; each that is new is printed with its link.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{ambient::Tasks, cli::terminal::say};

/// How often the folder is looked into.
const EVERY: Duration = Duration::from_millis(500);

/// Prints a line for each mail that arrives from now on.
pub(super) async fn announce(folder: PathBuf, tasks: Tasks) {
    let mut seen = files(&folder);
    while !tasks.stopped_within(EVERY).await {
        let now = files(&folder);
        for path in now.difference(&seen) {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            say(&line(&text, path));
        }
        seen = now;
    }
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "eml"))
        .collect()
}

fn line(text: &str, path: &Path) -> String {
    let header = |name: &str| {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
        values.next().unwrap_or("-").trim().to_owned()
    };
    let mut links = text.lines().filter(|line| line.contains("/account#"));
    let link = links.next().map_or_else(
        || format!("in {}", path.display()),
        |link| link.trim().to_owned(),
    );
    format!(
        "mail    {:<34} to {}\n        {link}",
        header("Subject:"),
        header("To:")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_shown_with_its_link() {
        let text = "From: a@b\r\nTo: person@example.com\r\nSubject: Confirm\r\n\r\nHello\r\n\r\n\
                    http://127.0.0.1:8080/account#verify-email=ohl_x\r\n";
        let line = line(text, Path::new("1.eml"));
        assert!(
            line.contains("Confirm") && line.contains("to person@example.com"),
            "{line}"
        );
        assert!(
            line.ends_with("http://127.0.0.1:8080/account#verify-email=ohl_x"),
            "{line}"
        );
    }
}
