//! From variables to [`Config`]: every fault is found in one reading, none shows a value that may
//! be a secret.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU32};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    Config, Database, Http, Jobs, Keys, Limits, Log, Mail, Providers, mail,
    reading::{Fault, Reading},
};
use crate::{
    crypto::{admin_token::AdminToken, sealed::KeyRing, token_digest::Pepper},
    domain::{OrganizationId, proxies::TrustedProxies},
    telemetry::log::Format,
};

/// The shortest admin token: it opens every organisation's calls, and nothing slows guesses down.
const ADMIN_TOKEN_CHARACTERS: usize = 16;

/// Reads the process's environment.
///
/// # Errors
/// Every fault there is.
pub fn from_environment() -> Result<Config, Vec<Fault>> {
    let ours = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        is_ours(&name).then(|| (name, value.to_string_lossy().into_owned()))
    });
    from_variables(ours.collect())
}

fn is_ours(name: &str) -> bool {
    ["DATABASE_URL", "ADMIN_TOKEN"].contains(&name) || name.starts_with("ONHOOK_")
}

/// Reads the given variables; an empty one counts as absent.
///
/// # Errors
/// Every fault there is.
pub fn from_variables(variables: BTreeMap<String, String>) -> Result<Config, Vec<Fault>> {
    let mut reading = Reading::of(variables);
    reading.refuse_unknown();
    let config = reading.config();
    let faults = reading.faults();
    config.filter(|_| faults.is_empty()).ok_or(faults)
}

impl Reading {
    fn config(&mut self) -> Option<Config> {
        // Every part is read before any is given up, so that every fault is found.
        let database = self.database();
        let http = self.http();
        let keys = self.keys();
        let providers = self.providers();
        let jobs = self.jobs();
        let mail = self.mail();
        let limits = self.limits();
        let log = self.log();
        Some(Config {
            database: database?,
            http: http?,
            keys: keys?,
            providers: providers?,
            jobs: jobs?,
            mail,
            limits: limits?,
            log: log?,
        })
    }

    fn database(&mut self) -> Option<Database> {
        let url = self.parse("DATABASE_URL", "must be a postgres:// URL", |text| {
            (text.starts_with("postgres://") || text.starts_with("postgresql://"))
                .then(|| text.to_owned())
        });
        let request = self.number("ONHOOK_DATABASE_REQUEST_CONNECTIONS", 1, 1000);
        let worker = self.number("ONHOOK_DATABASE_WORKER_CONNECTIONS", 1, 1000);
        let patience = self.millis("ONHOOK_DATABASE_PATIENCE_MS", 100, 10_000);
        Some(Database {
            url: url?,
            request_connections: request?,
            worker_connections: worker?,
            patience: patience?,
        })
    }

    fn http(&mut self) -> Option<Http> {
        let address = "must be an address and a port, for example 127.0.0.1:8080";
        let listen = self.parse("ONHOOK_LISTEN", address, |text| text.parse().ok());
        let operator = self.parse("ONHOOK_OPERATOR_LISTEN", address, |text| text.parse().ok());
        let public_url = self.public_url();
        let end = self.seconds("ONHOOK_END_WAIT_SECONDS", 0, 30);
        let agent_end = self.seconds("ONHOOK_AGENT_END_WAIT_SECONDS", 0, 30);
        let most = self.number("ONHOOK_MAX_CONNECTIONS", 1, 1_000_000);
        let proxies = self.optional(
            "ONHOOK_TRUSTED_PROXIES",
            "must be addresses and networks, not everybody's, separated by commas: 10.0.0.0/8,::1",
            TrustedProxies::parse,
        );
        let local = self.local_organization(listen);
        Some(Http {
            listen: listen?,
            operator_listen: operator?,
            public_url: public_url?,
            end_wait: end?,
            agent_end_wait: agent_end?,
            max_connections: most?,
            trusted_proxies: proxies.unwrap_or_default(),
            local_organization: local,
        })
    }

    fn local_organization(&mut self, listen: Option<SocketAddr>) -> Option<OrganizationId> {
        const NAME: &str = "ONHOOK_LOCAL_ORGANIZATION";
        let id = self.optional(NAME, "must be an organisation's id (a UUID)", |text| {
            text.parse().ok()
        });
        let reachable = listen.is_some_and(|address| !address.ip().is_loopback());
        if id.is_some() && reachable {
            self.fault(
                NAME,
                "gives anybody who reaches the API that organisation's calls: ONHOOK_LISTEN must be \
                 on loopback with it, for example 127.0.0.1:8080",
            );
        }
        id
    }

    fn public_url(&mut self) -> Option<String> {
        let must =
            "must be the http(s) URL under which providers reach this server, without a path";
        self.parse("ONHOOK_PUBLIC_URL", must, |text| {
            let url = url::Url::parse(text).ok()?;
            let plain = matches!(url.scheme(), "http" | "https")
                && url.path() == "/"
                && url.query().is_none()
                && url.username().is_empty();
            plain.then(|| text.trim_end_matches('/').to_owned())
        })
    }

    fn keys(&mut self) -> Option<Keys> {
        let ring = self.value("ONHOOK_SECRET_KEY").and_then(|text| {
            KeyRing::parse(&text)
                .map_err(|problem| self.fault("ONHOOK_SECRET_KEY", &problem.to_string()))
                .ok()
        });
        let must = "must be base64 of at least 32 bytes; make one with: openssl rand -base64 32";
        let pepper = self.parse("ONHOOK_TOKEN_PEPPER", must, |text| {
            let bytes = BASE64_STANDARD.decode(text).ok()?;
            (bytes.len() >= 32).then(|| Pepper::new(bytes))
        });
        let must = format!(
            "must be at least {ADMIN_TOKEN_CHARACTERS} visible ASCII characters; make one with: \
             openssl rand -hex 32"
        );
        let admin = self.optional("ADMIN_TOKEN", &must, |text| {
            let good = text.len() >= ADMIN_TOKEN_CHARACTERS
                && text.bytes().all(|byte| byte.is_ascii_graphic());
            good.then(|| AdminToken::new(text))
        });
        Some(Keys {
            secret_key: ring?,
            token_pepper: pepper?,
            admin_token: admin,
        })
    }

    fn providers(&mut self) -> Option<Providers> {
        let connect = self.millis("ONHOOK_PROVIDER_CONNECT_TIMEOUT_MS", 100, 5000);
        let hang_up = self.millis("ONHOOK_PROVIDER_HANG_UP_TIMEOUT_MS", 100, 4000);
        let dial = self.millis("ONHOOK_PROVIDER_DIAL_TIMEOUT_MS", 100, 10_000);
        let loopback = self.boolean("ONHOOK_OUTBOUND_ALLOW_LOOPBACK");
        let quiet = self.seconds("ONHOOK_QUIET_AFTER_SECONDS", 10, 3600);
        Some(Providers {
            connect_timeout: connect?,
            hang_up_timeout: hang_up?,
            dial_timeout: dial?,
            allow_loopback: loopback?,
            quiet_after: quiet?,
        })
    }

    fn jobs(&mut self) -> Option<Jobs> {
        let deliver = self.boolean("ONHOOK_DELIVER_WEBHOOKS");
        Some(Jobs {
            deliver_webhooks: deliver?,
        })
    }

    fn mail(&mut self) -> Option<Mail> {
        let from = self.parse("ONHOOK_MAIL_FROM", mail::FROM_MUST, mail::from);
        let way = self.optional("ONHOOK_MAIL_URL", mail::URL_MUST, mail::way);
        Some(Mail {
            way: way?,
            from: from?,
        })
    }

    fn limits(&mut self) -> Option<Limits> {
        let token = self.number("ONHOOK_REQUESTS_PER_TOKEN", 0, u32::MAX);
        let organization = self.number("ONHOOK_REQUESTS_PER_ORGANIZATION", 0, u32::MAX);
        let ceiling = self.number("ONHOOK_SAFETY_CEILING", 0, u32::MAX);
        let calls = self.number("ONHOOK_LIVE_CALLS", 0, 1_000_000);
        Some(Limits {
            requests_per_token: NonZeroU32::new(token?),
            requests_per_organization: NonZeroU32::new(organization?),
            safety_ceiling: NonZeroU32::new(ceiling?),
            live_calls: calls.filter(|most| *most > 0),
        })
    }

    fn log(&mut self) -> Option<Log> {
        let must = "must be json or plain, a colon, and a filter, for example plain:info";
        self.parse("ONHOOK_LOG", must, |text| {
            let (format, filter) = text.split_once(':')?;
            let format = match format {
                "json" => Format::Json,
                "plain" => Format::Plain,
                _ => return None,
            };
            tracing_subscriber::EnvFilter::try_new(filter).ok()?;
            Some(Log {
                format,
                filter: filter.to_owned(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::VARIABLES;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    const SECRET: &str = "a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const PEPPER: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn complete() -> BTreeMap<String, String> {
        variables(&[
            ("DATABASE_URL", "postgres://u:very-secret@h/d"),
            ("ONHOOK_PUBLIC_URL", "https://calls.example.com/"),
            ("ONHOOK_SECRET_KEY", SECRET),
            ("ONHOOK_TOKEN_PEPPER", PEPPER),
        ])
    }

    #[test]
    fn the_example_lists_every_variable_with_its_default() {
        const EXAMPLE: &str = include_str!("../../.env.example");
        let listed: Vec<_> = EXAMPLE
            .lines()
            .filter_map(|line| {
                let active = line.strip_prefix('#').unwrap_or(line);
                let (name, value) = active.split_once('=')?;
                is_ours(name).then(|| (name, line.starts_with('#'), value))
            })
            .collect();
        // What is required is commented out and has no value.
        let expected = VARIABLES.map(|(name, default, _)| {
            let required = default.is_none();
            (name, required, default.unwrap_or_default())
        });
        assert_eq!(listed, expected);
    }

    #[test]
    fn defaults_fill_in_what_is_not_required() {
        let config = from_variables(complete()).unwrap();
        assert_eq!(config.http.public_url, "https://calls.example.com");
        assert_eq!(config.http.end_wait, Duration::from_secs(5));
        assert!(!config.providers.allow_loopback);
        assert!(config.keys.admin_token.is_none() && config.http.local_organization.is_none());
        assert!(config.jobs.deliver_webhooks);
        assert!(!format!("{config:?}").contains("very-secret"));
    }

    #[test]
    fn local_mode_is_for_loopback_only() {
        let with = |listen: &str, organization: &str| {
            let mut given = complete();
            given.extend(variables(&[
                ("ONHOOK_LISTEN", listen),
                ("ONHOOK_LOCAL_ORGANIZATION", organization),
            ]));
            from_variables(given)
        };
        let id = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
        for listen in ["127.0.0.1:8080", "127.9.9.9:0", "[::1]:8080"] {
            let config = with(listen, id).unwrap();
            assert_eq!(config.http.local_organization, id.parse().ok(), "{listen}");
        }
        for listen in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080"] {
            let faults = with(listen, id).unwrap_err();
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert_eq!(faults[0].variable, "ONHOOK_LOCAL_ORGANIZATION");
            assert!(with(listen, "").is_ok());
        }
        assert_eq!(with("127.0.0.1:8080", "demo").unwrap_err().len(), 1);
    }

    #[test]
    fn an_admin_token_is_long_enough_and_in_no_text() {
        let with = |token: &str| {
            let mut given = complete();
            given.extend(variables(&[("ADMIN_TOKEN", token)]));
            from_variables(given)
        };
        let config = with("very-secret-token").unwrap();
        assert!(!format!("{config:?}").contains("very-secret"));
        let token = config.keys.admin_token.unwrap();
        assert!(token.is(b"very-secret-token") && !token.is(b"very-secret-tokem"));
        assert!(with("").unwrap().keys.admin_token.is_none());
        for weak in ["very-secret", "very secret token", "sehr-geheimes-tökchen"] {
            let faults = with(weak).unwrap_err();
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert_eq!(faults[0].variable, "ADMIN_TOKEN");
            assert!(!faults[0].problem.contains("very"));
        }
    }

    #[test]
    fn all_faults_are_reported_together_and_show_no_value() {
        let mut given = complete();
        given.extend(variables(&[
            ("DATABASE_URL", "mysql://very-secret"),
            ("ONHOOK_SECRET_KEY", "very-secret"),
            ("ONHOOK_LISTN", "1"),
            ("ONHOOK_END_WAIT_SECONDS", "31"),
            ("ONHOOK_TOKEN_PEPPER", ""),
        ]));
        let faults = from_variables(given).unwrap_err();
        let text: Vec<String> = faults.iter().map(Fault::to_string).collect();
        assert_eq!(text.len(), 5, "{text:#?}");
        assert!(
            text.iter()
                .any(|fault| fault.ends_with("did you mean ONHOOK_LISTEN?"))
        );
        assert!(!text.join(" ").contains("very-secret"));
    }
}
