//! Mails to people: what each says. Plain text; what comes from people is one line each, and nothing
//! of it is in the subject.

use time::Duration;

use super::{Timestamp, person::EmailAddress, role::Role};

/// How long the link that confirms an address is good.
pub const VERIFICATION: Duration = Duration::days(3);

/// How long the link that sets a new password is good.
pub const RESET: Duration = Duration::hours(1);

/// How long an invitation is good.
pub const INVITATION: Duration = Duration::days(7);

/// A mail, whole. Serialised, it is sealed: its text holds a secret.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mail(…)")
    }
}

/// Why a mail is written, and what goes into it. Links are whole URLs.
#[derive(Clone, Copy, Debug)]
pub enum Occasion<'a> {
    /// Somebody registered with this address.
    Verify { link: &'a str },
    /// Somebody registered with the address of an account that there is.
    Registered { link: &'a str },
    /// Somebody asked for a new password.
    Reset { link: &'a str },
    /// The password was changed.
    PasswordChanged,
    /// A refresh token came a second time.
    SessionEnded,
    /// Somebody is invited.
    Invited {
        organization: &'a str,
        role: Role,
        link: &'a str,
    },
    /// A receiver of events gets no more of them.
    ReceiverDisabled(ReceiverDisabled<'a>),
}

/// A receiver of events that was disabled without being asked for.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverDisabled<'a> {
    pub organization: &'a str,
    /// Its server, without what may be secret: credentials, path and query.
    pub server: &'a str,
    /// Why, without a full stop.
    pub reason: &'a str,
    pub at: Timestamp,
    /// Where the API shows it.
    pub resource: &'a str,
    /// Whether events of a time can be asked for again.
    pub replays: bool,
}

/// Days after which a mail that cannot be sent is given up; by then its link is hardly any good.
pub const GIVEN_UP_AFTER: Duration = Duration::days(2);

/// When a mail whose `attempt`s failed so far (from 1) is tried again: after 5 s, then three times
/// as long each time, half an hour at most.
pub fn retry_after(attempt: i32) -> Duration {
    let thrice = 3_i64.saturating_pow(u32::try_from(attempt.clamp(1, 10) - 1).unwrap_or(0));
    Duration::seconds(thrice.saturating_mul(5)).min(Duration::minutes(30))
}

/// Writes the mail.
pub fn write(to: &EmailAddress, occasion: Occasion<'_>) -> Mail {
    let (subject, text) = match occasion {
        Occasion::Verify { link } => (
            "Confirm your e-mail address",
            format!(
                "Somebody registered at Onhook with this address. If it was you, confirm it \
                 within three days:\n\n{link}\n\nIf it was not you, ignore this mail: without the \
                 link nobody can act in your name.\n"
            ),
        ),
        Occasion::Registered { link } => (
            "You have an account already",
            format!(
                "Somebody registered at Onhook with this address, which has an account. Nothing \
                 was changed. If it was you, log in; if you have forgotten the password, set a new \
                 one within an hour:\n\n{link}\n\nIf it was not you, ignore this mail.\n"
            ),
        ),
        Occasion::Reset { link } => (
            "Set a new password",
            format!(
                "Somebody asked for a new password for your account at Onhook. If it was you, set \
                 it within an hour:\n\n{link}\n\nIf it was not you, ignore this mail: the password \
                 stays as it is.\n"
            ),
        ),
        Occasion::PasswordChanged => (
            "Your password was changed",
            "The password of your account at Onhook was changed, and other sessions were ended. \
             If it was not you, set a new password at once.\n"
                .to_owned(),
        ),
        Occasion::SessionEnded => (
            "A session was ended",
            "A refresh token of one of your sessions at Onhook was used a second time. Somebody \
             else may hold a copy, so the session was ended; log in again.\n"
                .to_owned(),
        ),
        Occasion::Invited {
            organization,
            role,
            link,
        } => (
            "You are invited to an organisation",
            format!(
                "You are invited to join the organisation \"{organization}\" at Onhook, as {}. \
                 Accept within seven days:\n\n{link}\n\nIf you do not know why, ignore this mail.\n",
                role.as_str()
            ),
        ),
        Occasion::ReceiverDisabled(receiver) => {
            ("A receiver of events was disabled", receiver.told())
        }
    };
    Mail {
        to: to.reveal().to_owned(),
        subject: subject.to_owned(),
        text,
    }
}

impl ReceiverDisabled<'_> {
    fn told(&self) -> String {
        let (organization, server, reason) = (self.organization, self.server, self.reason);
        let resource = self.resource;
        let replay = if self.replays {
            format!(
                "What happens meanwhile is sent when you ask for it, up to 30 days back; what was \
                 given up, with {{\"failed_only\": true}}:\n\nPOST {resource}/replay\n\
                 {{\"from\": \"{}\"}}\n\n",
                self.at
            )
        } else {
            String::new()
        };
        format!(
            "Events of the organisation \"{organization}\" at Onhook are not sent to {server} any \
             more. {reason}.\n\nWhat was answered:\n\nGET {resource}/deliveries\n\nWhen it takes \
             events again, enable it:\n\nPATCH {resource}\n{{\"enabled\": true}}\n\n{replay}If nobody needs it, delete \
             it; nothing else has to be done.\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_told_of_a_receiver_reads_what_to_do() {
        let to: EmailAddress = "person@example.com".parse().unwrap();
        let resource = "https://calls.example.com/api/v1/webhook-endpoints/1";
        let of = |replays| {
            let receiver = ReceiverDisabled {
                organization: "Example",
                server: "https://example.com",
                reason: "Every delivery failed for five days",
                at: Timestamp::from_unix_millis(0),
                resource,
                replays,
            };
            write(&to, Occasion::ReceiverDisabled(receiver)).text
        };
        let text = of(true);
        for part in [
            "\"Example\"",
            "https://example.com ",
            "five days.",
            &format!("\nPATCH {resource}\n{{\"enabled\": true}}\n"),
            &format!("\nPOST {resource}/replay\n{{\"from\": \"1970-01-01T00:00:00.000Z\"}}\n"),
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!of(false).contains("/replay"));
    }

    #[test]
    fn a_mail_says_what_to_do_and_debug_does_not_say_it() {
        let to: EmailAddress = "person@example.com".parse().unwrap();
        let link = "https://calls.example.com/people#reset=ohl_x";
        let mail = write(&to, Occasion::Reset { link });
        assert_eq!(mail.to, "person@example.com");
        assert!(mail.text.contains(&format!("\n{link}\n")), "{}", mail.text);
        assert_eq!(format!("{mail:?}"), "Mail(…)");
    }

    #[test]
    fn failed_attempts_wait_longer_and_longer() {
        for (attempt, seconds) in [
            (0, 5),
            (1, 5),
            (2, 15),
            (3, 45),
            (6, 1215),
            (7, 1800),
            (99, 1800),
        ] {
            assert_eq!(
                retry_after(attempt),
                Duration::seconds(seconds),
                "{attempt}"
            );
        }
    }
}
