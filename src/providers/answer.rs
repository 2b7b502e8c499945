//! A provider's own words, made fit for a receipt: short, one line, without secrets.

/// The most characters of a provider's text that are kept.
pub(super) const MAX_MESSAGE_CHARS: usize = 300;

/// `text` on one line of at most [`MAX_MESSAGE_CHARS`], with each of `secrets` and every user
/// information of a URL taken out. `None` when nothing is left.
pub(super) fn plain(text: &str, secrets: &[String]) -> Option<String> {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), "…");
    }
    let text = without_user_information(&text);
    let line = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    if line.is_empty() {
        None
    } else if line.chars().count() > MAX_MESSAGE_CHARS {
        let head: String = line.chars().take(MAX_MESSAGE_CHARS - 1).collect();
        Some(format!("{head}…"))
    } else {
        Some(line)
    }
}

/// Turns `scheme://user:password@host` into `scheme://host`, wherever it stands.
fn without_user_information(text: &str) -> String {
    const MARK: &str = "://";
    let mut pieces = text.split(MARK);
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let ends = |c: char| matches!(c, '/' | '?' | '#' | '"' | '<' | '>') || c.is_whitespace();
        let (authority, rest) = piece.split_at(piece.find(ends).unwrap_or(piece.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        kept.push_str(MARK);
        kept.push_str(host);
        kept.push_str(rest);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_short_line() {
        let text = format!("  Bad\r\n\tGateway\u{0}{} ", "é".repeat(400));
        let line = plain(&text, &[]).unwrap();
        assert!(line.starts_with("Bad Gateway é"), "{line}");
        assert_eq!(line.chars().count(), MAX_MESSAGE_CHARS);
        assert!(line.ends_with('…'));
        assert_eq!(plain(" \n\t\u{0}", &[]), None);
    }

    #[test]
    fn a_message_holds_no_secret_and_no_user_information() {
        let secrets = ["hunter2".to_owned(), String::new()];
        let text = "token hunter2 at https://AC1:p%40ss@api.example.com/x?y=a@b and http://u@h";
        assert_eq!(
            plain(text, &secrets).unwrap(),
            "token … at https://api.example.com/x?y=a@b and http://h"
        );
    }
}
