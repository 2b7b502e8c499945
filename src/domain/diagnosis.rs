//! What is wrong with a provider account: from what was found out about it to a list of checks, each
//! with what to do.

use std::net::IpAddr;

use serde::Serialize;

use super::Timestamp;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    Ok,
    /// It works, or may; somebody should look.
    Warning,
    /// Calls fail, or cannot be taken.
    Failed,
    /// It could not be found out.
    Unknown,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = AccountCheck)]
pub struct Check {
    /// Stable: match on this. `credentials`, `reachable`, `circuit`, `callback_url`, `callbacks`,
    /// `phone_numbers`.
    #[schema(value_type = String, example = "credentials")]
    pub name: &'static str,
    pub status: CheckStatus,
    /// What was found.
    pub detail: String,
    /// What to do; null: nothing.
    pub action: Option<String>,
}

/// How a harmless request with the account's credentials came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    Accepted,
    /// With the status that said so.
    Refused(Option<u16>),
    /// What there was instead of an answer that tells something.
    Unavailable(String),
    /// What is stored cannot be opened with the keys of this node.
    NotOpened,
}

/// What was found out.
#[derive(Clone, Debug)]
pub struct Findings<'a> {
    /// The provider's name for sentences.
    pub provider: &'a str,
    pub probe: Probe,
    /// Whether this node has given up placing calls until the credentials hold again.
    pub circuit_open: bool,
    /// Where the provider is to report.
    pub callback_url: &'a str,
    pub last_callback_at: Option<Timestamp>,
    pub has_had_calls: bool,
    /// Numbers of the account, and those of them whose agent takes calls.
    pub numbers: i64,
    pub numbers_in_use: i64,
}

/// Everything that was looked at, in the order in which to mend it.
pub fn diagnose(findings: &Findings<'_>) -> Vec<Check> {
    let [credentials, reachable] = of_probe(findings);
    vec![
        credentials,
        reachable,
        circuit(findings),
        callback_url(findings),
        callbacks(findings),
        phone_numbers(findings),
    ]
}

/// Whether nothing failed.
pub fn is_healthy(checks: &[Check]) -> bool {
    checks
        .iter()
        .all(|check| check.status != CheckStatus::Failed)
}

fn check(
    name: &'static str,
    status: CheckStatus,
    detail: impl Into<String>,
    action: Option<&str>,
) -> Check {
    Check {
        name,
        status,
        detail: detail.into(),
        action: action.map(str::to_owned),
    }
}

fn of_probe(findings: &Findings<'_>) -> [Check; 2] {
    use CheckStatus::{Failed, Ok, Unknown};
    const CREDENTIALS: &str = "credentials";
    const REACHABLE: &str = "reachable";
    let provider = findings.provider;
    match &findings.probe {
        Probe::Accepted => [
            check(
                CREDENTIALS,
                Ok,
                format!("{provider} takes the credentials"),
                None,
            ),
            check(REACHABLE, Ok, format!("{provider} answers"), None),
        ],
        Probe::Refused(status) => {
            let status = status.map_or_else(String::new, |status| format!(" (HTTP {status})"));
            let rotate = "Rotate them: POST /api/v1/provider-accounts/{id}/rotate";
            [
                check(
                    CREDENTIALS,
                    Failed,
                    format!("{provider} refuses the credentials{status}"),
                    Some(rotate),
                ),
                check(REACHABLE, Ok, format!("{provider} answers"), None),
            ]
        }
        Probe::Unavailable(why) => [
            check(
                CREDENTIALS,
                Unknown,
                format!("{provider} could not be asked"),
                None,
            ),
            check(
                REACHABLE,
                Failed,
                format!("{provider} gives no answer that tells anything: {why}"),
                Some(
                    "Compare external_id and api_base_url with the provider's console; then look at the provider's status page and at what lets this server out",
                ),
            ),
        ],
        Probe::NotOpened => [
            check(
                CREDENTIALS,
                Failed,
                "what is stored cannot be opened with this node's keys",
                Some(
                    "Put the key that they were sealed with back into ONHOOK_SECRET_KEY, or rotate the credentials",
                ),
            ),
            check(
                REACHABLE,
                Unknown,
                format!("{provider} could not be asked"),
                None,
            ),
        ],
    }
}

fn circuit(findings: &Findings<'_>) -> Check {
    if findings.circuit_open {
        return check(
            "circuit",
            CheckStatus::Failed,
            "the credentials were refused, and this node places no calls through the account but for a try each 30 seconds",
            Some("Rotate the credentials; the first request that the provider takes mends this"),
        );
    }
    let detail = "calls are placed through the account";
    check("circuit", CheckStatus::Ok, detail, None)
}

fn callback_url(findings: &Findings<'_>) -> Check {
    const NAME: &str = "callback_url";
    const ACTION: &str =
        "Set ONHOOK_PUBLIC_URL to the https URL under which the provider reaches this server";
    let url = findings.callback_url;
    let parsed = url::Url::parse(url).ok();
    let public = parsed.as_ref().is_some_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name.contains('.') && !name.ends_with(".localhost") && !name.ends_with(".internal")
        }
        Some(url::Host::Ipv4(address)) => is_public(address.into()),
        Some(url::Host::Ipv6(address)) => is_public(address.into()),
        None => false,
    });
    let encrypted = parsed.is_some_and(|url| url.scheme() == "https");
    match (public, encrypted) {
        (true, true) => check(NAME, CheckStatus::Ok, url, None),
        (true, false) => {
            let detail = format!("{url} is not encrypted");
            check(NAME, CheckStatus::Warning, detail, Some(ACTION))
        }
        (false, _) => {
            let detail = format!("{url} leads to no public host: only a simulator reaches it");
            check(NAME, CheckStatus::Warning, detail, Some(ACTION))
        }
    }
}

/// Close enough for advice; what connections may reach is decided where they are made.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified())
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_unspecified())
        }
    }
}

fn callbacks(findings: &Findings<'_>) -> Check {
    const NAME: &str = "callbacks";
    match findings.last_callback_at {
        Some(at) => {
            let detail = format!("the last one that was signed as it should be came at {at}");
            check(NAME, CheckStatus::Ok, detail, None)
        }
        None if findings.has_had_calls => check(
            NAME,
            CheckStatus::Warning,
            "there have been calls, and none of them was reported on",
            Some(
                "Have the provider report to callback_url; until then calls are read at the provider, minutes later",
            ),
        ),
        None => check(
            NAME,
            CheckStatus::Unknown,
            "there has been no call yet",
            None,
        ),
    }
}

fn phone_numbers(findings: &Findings<'_>) -> Check {
    const NAME: &str = "phone_numbers";
    match (findings.numbers, findings.numbers_in_use) {
        (0, _) => check(
            NAME,
            CheckStatus::Warning,
            "the account has no number: no call can be placed from it or come in",
            Some("Add one: POST /api/v1/phone-numbers"),
        ),
        (numbers, 0) => check(
            NAME,
            CheckStatus::Warning,
            format!("none of {numbers} belongs to a published agent"),
            Some("Assign one, PATCH /api/v1/phone-numbers/{id}, and publish its agent"),
        ),
        (numbers, used) => {
            let detail = format!("{used} of {numbers} belong to a published agent");
            check(NAME, CheckStatus::Ok, detail, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CheckStatus::{Failed, Ok, Unknown, Warning};

    fn sound() -> Findings<'static> {
        Findings {
            provider: "Twilio",
            probe: Probe::Accepted,
            circuit_open: false,
            callback_url: "https://calls.example.com/callbacks/twilio/1",
            last_callback_at: Some(Timestamp::from_unix_millis(0)),
            has_had_calls: true,
            numbers: 2,
            numbers_in_use: 1,
        }
    }

    #[test]
    fn each_thing_that_is_wrong_is_named_and_what_is_to_be_done() {
        type Change = fn(&mut Findings<'_>);
        let table: [(Change, [CheckStatus; 6]); 12] = [
            (|_| {}, [Ok, Ok, Ok, Ok, Ok, Ok]),
            (
                |f| f.probe = Probe::Refused(Some(401)),
                [Failed, Ok, Ok, Ok, Ok, Ok],
            ),
            (
                |f| f.probe = Probe::Unavailable("HTTP 502".to_owned()),
                [Unknown, Failed, Ok, Ok, Ok, Ok],
            ),
            (
                |f| f.probe = Probe::NotOpened,
                [Failed, Unknown, Ok, Ok, Ok, Ok],
            ),
            (|f| f.circuit_open = true, [Ok, Ok, Failed, Ok, Ok, Ok]),
            (
                |f| f.callback_url = "http://calls.example.com/",
                [Ok, Ok, Ok, Warning, Ok, Ok],
            ),
            (
                |f| f.callback_url = "https://localhost:8080/",
                [Ok, Ok, Ok, Warning, Ok, Ok],
            ),
            (
                |f| f.callback_url = "https://10.0.0.1/",
                [Ok, Ok, Ok, Warning, Ok, Ok],
            ),
            (
                |f| f.callback_url = "https://[::1]/",
                [Ok, Ok, Ok, Warning, Ok, Ok],
            ),
            (|f| f.last_callback_at = None, [Ok, Ok, Ok, Ok, Warning, Ok]),
            (|f| f.numbers = 0, [Ok, Ok, Ok, Ok, Ok, Warning]),
            (|f| f.numbers_in_use = 0, [Ok, Ok, Ok, Ok, Ok, Warning]),
        ];
        for (at, (change, expected)) in table.into_iter().enumerate() {
            let mut findings = sound();
            change(&mut findings);
            let checks = diagnose(&findings);
            let statuses: Vec<CheckStatus> = checks.iter().map(|check| check.status).collect();
            assert_eq!(statuses, expected, "row {at}");
            assert_eq!(is_healthy(&checks), !expected.contains(&Failed), "row {at}");
            for check in checks {
                let told = matches!(check.status, Failed | Warning);
                assert_eq!(check.action.is_some(), told, "row {at}: {check:?}");
            }
        }
        let mut new = sound();
        (new.last_callback_at, new.has_had_calls) = (None, false);
        assert_eq!(diagnose(&new)[4].status, Unknown);
    }
}
