//! Sending mail: to the mail server that the operator names, or into a folder.
//!
//! `lettre` writes messages and speaks SMTP over rustls; it encodes what is no plain ASCII, so that
//! nothing in a mail can become a header.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{
        Body, Mailbox,
        header::{ContentTransferEncoding, ContentType},
    },
};

use crate::domain::{MailId, Timestamp, mail::Mail};

/// How long one command of the mail server's may take; a whole mail is bounded by who sends it.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends mails. Cheap to clone.
#[derive(Clone)]
pub struct Mailer {
    from: Mailbox,
    way: Arc<Way>,
}

enum Way {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Folder(PathBuf),
}

/// Why a mail was not sent. The text names no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct MailFailure {
    pub text: String,
    /// The server will never take it.
    pub for_good: bool,
}

impl MailFailure {
    fn for_good(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            for_good: true,
        }
    }

    /// Whoever sends it waits no longer.
    pub fn timed_out() -> Self {
        Self::for_now("the mail server does not answer in time")
    }

    fn for_now(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            for_good: false,
        }
    }
}

impl Mailer {
    /// Sends by SMTP, as `url` says.
    ///
    /// # Errors
    /// When `url` or `from` cannot be read; the text names neither.
    pub fn smtp(url: &str, from: &str) -> Result<Self, MailFailure> {
        // Another caller may have installed a provider first; either serves.
        drop(rustls::crypto::ring::default_provider().install_default());
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|_| MailFailure::for_good("the mail server's URL cannot be read"))?
            .timeout(Some(COMMAND_TIMEOUT))
            .build();
        Self::new(from, Way::Smtp(transport))
    }

    /// Writes each mail into a file of `folder`, which is made with the first.
    ///
    /// # Errors
    /// When `from` cannot be read.
    pub fn folder(folder: PathBuf, from: &str) -> Result<Self, MailFailure> {
        Self::new(from, Way::Folder(folder))
    }

    fn new(from: &str, way: Way) -> Result<Self, MailFailure> {
        let from = from
            .parse()
            .map_err(|_| MailFailure::for_good("the sender is no address"))?;
        Ok(Self {
            from,
            way: Arc::new(way),
        })
    }

    /// Sends one mail. Its message id is made from `id`, the same at every attempt.
    ///
    /// # Errors
    /// [`MailFailure`]; the server may have taken it all the same when its answer was lost.
    pub async fn send(&self, id: MailId, mail: &Mail, at: Timestamp) -> Result<(), MailFailure> {
        let message = self.message(id, mail, at)?;
        match &*self.way {
            Way::Smtp(transport) => match transport.send(message).await {
                Ok(_taken) => Ok(()),
                Err(error) if error.is_permanent() => Err(MailFailure::for_good(code(&error))),
                Err(error) => Err(MailFailure::for_now(code(&error))),
            },
            Way::Folder(folder) => {
                let write = async {
                    tokio::fs::create_dir_all(folder).await?;
                    let (new, whole) = (
                        folder.join(format!(".{id}")),
                        folder.join(format!("{id}.eml")),
                    );
                    tokio::fs::write(&new, message.formatted()).await?;
                    tokio::fs::rename(&new, &whole).await
                };
                write
                    .await
                    .map_err(|error| MailFailure::for_now(error.to_string()))
            }
        }
    }

    fn message(&self, id: MailId, mail: &Mail, at: Timestamp) -> Result<Message, MailFailure> {
        let to = mail
            .to
            .parse()
            .map_err(|_| MailFailure::for_good("the recipient is no address"))?;
        let millis = u64::try_from(at.unix_millis()).unwrap_or(0);
        let domain = self.from.email.domain();
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .date(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
            .message_id(Some(format!("<{id}@{domain}>")))
            .subject(&mail.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(body(&mail.text))
            .map_err(|error| MailFailure::for_good(error.to_string()))
    }
}

/// Plain ASCII goes as it is, so that a link can be copied from a file; `lettre` would wrap lines of
/// more than 76 characters. Ours are far below the 998 of RFC 5322 section 2.1.1.
fn body(text: &str) -> Body {
    if text.is_ascii() {
        let lines = text.replace('\n', "\r\n").into_bytes();
        Body::dangerous_pre_encoded(lines, ContentTransferEncoding::SevenBit)
    } else {
        Body::new(text.to_owned())
    }
}

/// The server's status alone: its text may repeat the address.
fn code(error: &lettre::transport::smtp::Error) -> String {
    match error.status() {
        Some(code) => format!("the mail server answers {code}"),
        None if error.is_timeout() => "the mail server does not answer in time".to_owned(),
        None if error.is_tls() => "no TLS with the mail server".to_owned(),
        None => "no connection to the mail server".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(to: &str, subject: &str) -> Mail {
        Mail {
            to: to.to_owned(),
            subject: subject.to_owned(),
            text: "Hello.\n.\nä https://calls.example.com/account#verify-email=ohl_x\n".to_owned(),
        }
    }

    fn headers(message: &Message) -> Vec<String> {
        let text = String::from_utf8(message.formatted()).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        head.lines().map(str::to_owned).collect()
    }

    #[test]
    fn nothing_in_a_mail_becomes_a_header() {
        let mailer = Mailer::folder(PathBuf::new(), "Onhook <onhook@example.com>").unwrap();
        let at: Timestamp = "2026-11-21T09:30:00Z".parse().unwrap();
        let id = MailId(uuid::Uuid::nil());
        let sly = mail("person@example.com", "Hi\r\nBcc: other@example.com");
        let message = mailer.message(id, &sly, at).unwrap();
        let names: Vec<String> = headers(&message)
            .iter()
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| Some(line.split_once(':')?.0.to_owned()))
            .collect();
        assert!(!names.contains(&"Bcc".to_owned()), "{names:?}");
        assert_eq!(message.envelope().to().len(), 1);
        for to in [
            "person@example.com\r\nBcc: other@example.com",
            "a@b.example, c@d.example",
            "",
        ] {
            assert!(
                mailer
                    .message(id, &mail(to, "Hi"), at)
                    .unwrap_err()
                    .for_good
            );
        }
    }

    #[tokio::test]
    async fn a_folder_gets_a_file_for_each_mail_and_the_same_for_a_second_attempt() {
        let name = format!("onhook-mails-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let mailer = Mailer::folder(folder.clone(), "onhook@example.com").unwrap();
        let at: Timestamp = "2026-11-21T09:30:00Z".parse().unwrap();
        for _ in 0..2 {
            let id = MailId(uuid::Uuid::from_u128(7));
            mailer
                .send(id, &mail("person@example.com", "Hi"), at)
                .await
                .unwrap();
        }
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
        assert_eq!(files.len(), 1);
        let text = std::fs::read_to_string(files[0].as_ref().unwrap().path()).unwrap();
        assert!(text.contains("Date: Sat, 21 Nov 2026 09:30:00"), "{text}");
        assert!(text.contains("To: person@example.com"), "{text}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
