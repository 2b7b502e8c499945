//! One node: listeners, jobs and what they share.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::extract::Request;
use tokio::net::{TcpListener, TcpSocket};
use tower::{ServiceExt as _, util::BoxCloneSyncService};

use super::connections;
use crate::{
    ambient::Ambient,
    app::{App, FastLane, Parts as AppParts, people::mails::MailSettings, rates::Quotas},
    config::{Config, MailWay},
    db::{self, Db},
    domain::{Error, Result},
    http::{self, HttpParts, HttpState, Waits},
    jobs::{Bounds, Jobs, Loops, Parts as JobParts, Worker},
    outbound::{self, Reach, mail::Mailer},
    providers::{Deadlines, Registry},
    telemetry::Metrics,
};

/// How long a node waits for open requests and jobs when it stops.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// How many clients may wait to be accepted; the kernel's own limit applies too. Beyond it they are
/// not told: they try again after 1 s, 3 s, 7 s. Tokio's default is 128.
const BACKLOG: u32 = 4096;

/// What a node is started with.
pub struct Settings {
    pub config: Config,
    pub ambient: Ambient,
    /// Which loops run; tests ask the worker for single rounds of the others.
    pub loops: Loops,
    pub patience: Patience,
}

/// How long a node waits where no variable says it. Tests that are not about waiting are more
/// patient: a machine that is busy with other tests must not look like a database that is down.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection to the database, where no request waits for it.
    pub connection: Duration,
    /// For a statement, once there is a connection.
    pub statement: Duration,
    /// How long the drop-in dials wait for the provider's answer.
    pub dial: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let database = db::Options::default();
        Self {
            connection: database.acquire_timeout,
            statement: database.statement_timeout,
            dial: Waits::default().dial,
        }
    }
}

/// A running node.
pub struct Node {
    pub app: App,
    pub worker: Worker,
    pub address: SocketAddr,
    pub operator_address: SocketAddr,
}

impl Node {
    /// Starts a node on a migrated database.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the configuration cannot be put to use.
    pub async fn start(settings: Settings) -> Result<Self> {
        let Settings {
            config,
            ambient,
            loops,
            patience,
        } = settings;
        let listener = listen(config.http.listen, "ONHOOK_LISTEN")?;
        let operator = listen(config.http.operator_listen, "ONHOOK_OPERATOR_LISTEN")?;
        let (address, operator_address) = (local(&listener)?, local(&operator)?);
        let (fast_lane, fresh) = FastLane::new();
        let public_url: Arc<str> = public_url(&config, address).into();
        let app = app_with(&config, &ambient, fast_lane, patience, &public_url)?;
        let providers = Arc::new(registry(&config, &ambient)?);
        let metrics = Arc::new(Metrics::default());
        let worker = Worker::new(Jobs::new(JobParts {
            app: app.clone(),
            providers: Arc::clone(&providers),
            webhooks: webhook_client(&config)?,
            mailer: mailer(&config)?,
            metrics: Arc::clone(&metrics),
            public_url: Arc::clone(&public_url),
            bounds: Bounds {
                quiet_after: config.providers.quiet_after,
                ..Bounds::default()
            },
        }));
        worker
            .start(loops, fresh, config.jobs.deliver_webhooks)
            .await?;
        let state = HttpState::new(HttpParts {
            app: app.clone(),
            providers,
            metrics,
            public_url,
            waits: Waits {
                end: config.http.end_wait,
                agent_end: config.http.agent_end_wait,
                dial: patience.dial,
            },
            admin_token: config.keys.admin_token.clone(),
            // The configuration has refused anything but loopback; this is the second wall.
            local_organization: config
                .http
                .local_organization
                .filter(|_| address.ip().is_loopback()),
            trusted_proxies: config.http.trusted_proxies.clone(),
        });
        let operators: BoxCloneSyncService<Request, _, _> =
            BoxCloneSyncService::new(http::operator_router(state.clone()).map_request(|r| r));
        let most = config.http.max_connections;
        let public = connections::serve(listener, http::router(state), ambient.clone(), most);
        drop(ambient.tasks.spawn(public));
        drop(
            ambient
                .tasks
                .spawn(connections::serve(operator, operators, ambient.clone(), 64)),
        );
        Ok(Self {
            app,
            worker,
            address,
            operator_address,
        })
    }

    /// Refuses new dials, finishes what is open, closes the pools. Bounded.
    pub async fn stop(self) {
        self.app.drain();
        let tasks = &self.app.ambient.tasks;
        tasks.stop();
        if tokio::time::timeout(STOP_WITHIN, tasks.ended())
            .await
            .is_err()
        {
            tracing::warn!("stopping with requests or jobs still open: their leases run out");
        }
        self.app.db.close().await;
    }
}

/// The operations alone, for commands that serve nobody.
///
/// # Errors
/// When `DATABASE_URL` is no PostgreSQL URL.
pub(crate) fn app(config: &Config, ambient: &Ambient, fast_lane: FastLane) -> Result<App> {
    let public_url = &config.http.public_url;
    app_with(config, ambient, fast_lane, Patience::default(), public_url)
}

fn app_with(
    config: &Config,
    ambient: &Ambient,
    fast_lane: FastLane,
    patience: Patience,
    public_url: &str,
) -> Result<App> {
    let options = db::Options {
        request_connections: config.database.request_connections,
        worker_connections: config.database.worker_connections,
        patience: config.database.patience,
        acquire_timeout: patience.connection,
        statement_timeout: patience.statement,
    };
    Ok(App::new(AppParts {
        db: Db::new(&config.database.url, &options)?,
        ambient: ambient.clone(),
        keys: config.keys.secret_key.clone(),
        pepper: config.keys.token_pepper.clone(),
        fast_lane,
        mail: MailSettings {
            is_sent: config.mail.is_some(),
            public_url: public_url.to_owned(),
        },
        allow_loopback: config.providers.allow_loopback,
        quotas: Quotas {
            of_token: config.limits.requests_per_token,
            of_organization: config.limits.requests_per_organization,
            of_safety_lane: config.limits.safety_ceiling,
        },
        most_live_calls: config.limits.live_calls,
    }))
}

/// A public URL with port 0 means the port that was given: `onhook dev` and tests.
fn public_url(config: &Config, address: SocketAddr) -> String {
    match config.http.public_url.strip_suffix(":0") {
        Some(host) => format!("{host}:{}", address.port()),
        None => config.http.public_url.clone(),
    }
}

fn reach(config: &Config) -> Reach {
    if config.providers.allow_loopback {
        Reach::PublicAndLoopback
    } else {
        Reach::Public
    }
}

fn registry(config: &Config, ambient: &Ambient) -> Result<Registry> {
    let deadlines = Deadlines {
        connect: config.providers.connect_timeout,
        hang_up: config.providers.hang_up_timeout,
        dial: config.providers.dial_timeout,
    };
    Registry::new(reach(config), deadlines, ambient)
        .map_err(|error| Error::internal("prepare the connections to providers", error))
}

fn webhook_client(config: &Config) -> Result<outbound::Client> {
    outbound::Client::new(outbound::Options {
        reach: reach(config),
        connect_timeout: Duration::from_secs(5),
        idle_per_host: 32,
        https_only: !config.providers.allow_loopback,
    })
    .map_err(|error| Error::internal("prepare the connections to customers", error))
}

fn mailer(config: &Config) -> Result<Option<Mailer>> {
    let Some(mail) = &config.mail else {
        return Ok(None);
    };
    let mailer = match &mail.way {
        MailWay::Smtp(url) => Mailer::smtp(url, &mail.from),
        MailWay::Folder(folder) => Mailer::folder(folder.clone(), &mail.from),
    };
    mailer
        .map(Some)
        .map_err(|error| Error::internal("prepare the connections to the mail server", error))
}

fn listen(address: SocketAddr, variable: &str) -> Result<TcpListener> {
    bind(address).map_err(|error| {
        let text = format!("listen on {address} ({variable}): {error}");
        Error::internal("start listening", text)
    })
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A restarted node does not wait for the old one's connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn local(listener: &TcpListener) -> Result<SocketAddr> {
    listener
        .local_addr()
        .map_err(|error| Error::internal("start listening", error))
}
