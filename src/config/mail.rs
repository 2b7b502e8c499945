//! Reading how mail is sent.

use std::{net::IpAddr, path::PathBuf};

use url::{Host, Url};

use super::MailWay;

pub(super) const FROM_MUST: &str =
    "must be an address, or a name and an address in angle brackets: Onhook <onhook@example.com>";

pub(super) const URL_MUST: &str =
    "must be smtps://user:password@host:465, smtp://user:password@host:587 or folder:/path";

/// Whom mails are from.
pub(super) fn from(text: &str) -> Option<String> {
    let mailbox: lettre::message::Mailbox = text.parse().ok()?;
    Some(mailbox.to_string())
}

/// `smtps` is TLS from the start, `smtp` asks for STARTTLS and goes no further without; only a
/// server on this machine is spoken to in clear.
pub(super) fn way(text: &str) -> Option<MailWay> {
    if let Some(path) = text.strip_prefix("folder:") {
        return (!path.is_empty()).then(|| MailWay::Folder(PathBuf::from(path)));
    }
    let mut url = Url::parse(text).ok()?;
    let local = match url.host()? {
        // Only the schemes of the web have their addresses read (URL standard, "special").
        Host::Domain("localhost") => true,
        Host::Domain(name) => name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    };
    if url.query().is_some() || url.fragment().is_some() {
        return None;
    }
    match url.scheme() {
        "smtps" => {}
        "smtp" if local => {}
        "smtp" => url.set_query(Some("tls=required")),
        _ => return None,
    }
    Some(MailWay::Smtp(url.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_leaves_the_machine_under_tls_or_not_at_all() {
        let read = |text: &str| match way(text)? {
            MailWay::Smtp(url) => Some(url),
            MailWay::Folder(path) => Some(path.display().to_string()),
        };
        for (text, expected) in [
            (
                "smtps://u:p@mail.example.com:465",
                Some("smtps://u:p@mail.example.com:465"),
            ),
            (
                "smtp://u:p@mail.example.com:587",
                Some("smtp://u:p@mail.example.com:587?tls=required"),
            ),
            ("smtp://127.0.0.1:2525", Some("smtp://127.0.0.1:2525")),
            ("folder:/tmp/mails", Some("/tmp/mails")),
            ("smtp://u:p@mail.example.com:587?tls=opportunistic", None),
            ("https://mail.example.com", None),
            ("mail.example.com", None),
            ("folder:", None),
        ] {
            assert_eq!(read(text).as_deref(), expected, "{text}");
        }
        assert!(!format!("{:?}", way("smtps://u:secret@h:465")).contains("secret"));
    }

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        for good in ["onhook@example.com", "Onhook <onhook@example.com>"] {
            assert_eq!(from(good).as_deref(), Some(good));
        }
        for bad in ["", "Onhook", "a@b\r\nBcc: c@d.example"] {
            assert_eq!(from(bad), None, "{bad}");
        }
    }
}
