//! `onhook dev`: everything on one machine, nothing to configure.

mod demo;
mod guide;
mod mails;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use super::Failure;
use crate::{
    ambient::Ambient,
    app::{App, FastLane},
    boot::{
        self, Node, Patience, Settings, Stop,
        private_postgres::{Options, PrivatePostgres},
    },
    config::{self, Config},
    db,
    domain::{OrgScope, webhook::signature::SigningSecret},
    jobs::Loops,
    simulator::{Receiver, SimulatedAccount, Simulator},
    telemetry::log,
};

use demo::{Demo, Keys};

/// The private server's database.
const DATABASE: &str = "onhook";

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(super) async fn run(
    listen: SocketAddr,
    data_dir: PathBuf,
    ambient: Ambient,
) -> Result<(), Failure> {
    if !listen.ip().is_loopback() {
        return Err("onhook dev listens on loopback only: its keys are for trying it out".into());
    }
    log::install(log::Format::Plain, "warn");
    std::fs::create_dir_all(&data_dir)
        .map_err(|error| format!("cannot make {}: {error}", data_dir.display()))?;
    let (postgres, database_url) = database(&data_dir, &ambient).await?;
    let outcome = serve(listen, &data_dir, &database_url, &ambient).await;
    if let Some(postgres) = postgres {
        postgres.stop().await?;
    }
    outcome
}

/// The server that `DATABASE_URL` names, else a private one that keeps its data.
async fn database(
    data_dir: &Path,
    ambient: &Ambient,
) -> Result<(Option<PrivatePostgres>, String), Failure> {
    let given = std::env::var_os("DATABASE_URL").and_then(|url| url.into_string().ok());
    if let Some(url) = given.filter(|url| !url.is_empty()) {
        return Ok((None, url));
    }
    let options = Options {
        data_dir: data_dir.join("postgres"),
        durable: true,
        keep: true,
        max_connections: 64,
    };
    let postgres = PrivatePostgres::start(options, ambient.entropy.as_ref()).await?;
    postgres.create_database(DATABASE).await?;
    let url = postgres.url(DATABASE);
    Ok((Some(postgres), url))
}

async fn serve(
    listen: SocketAddr,
    data_dir: &Path,
    database_url: &str,
    ambient: &Ambient,
) -> Result<(), Failure> {
    db::migrate::run(database_url).await?;
    let keys = demo::keys(data_dir, ambient)?;
    let mails = data_dir.join("mails");
    let mut config = configuration(listen, database_url, &keys, &mails)?;

    let (deliveries, arrived) = tokio::sync::mpsc::unbounded_channel();
    let receiver = Receiver::start(ANY_PORT, ambient.clone(), Some(deliveries)).await?;
    let simulator = Simulator::start(ANY_PORT, ambient.clone(), keys.accounts()).await?;

    let (fast_lane, _nobody) = FastLane::new();
    let app = boot::app(&config, ambient, fast_lane)?;
    let demo = demo::find_or_create(&app, data_dir, &keys, &receiver.base_url()).await?;
    point_at(&app, &demo, &simulator, &receiver).await?;
    app.db.close().await;
    config.http.local_organization = Some(demo.organization_id);

    let node = Node::start(Settings {
        config,
        ambient: ambient.clone(),
        loops: Loops::All,
        patience: Patience::default(),
    })
    .await?;
    for account in keys.accounts() {
        let id = demo.provider_accounts.get(&account.provider);
        let incoming_url = id.map(|id| {
            let provider = account.provider.as_str();
            format!("http://{}/callbacks/{provider}/{id}", node.address)
        });
        simulator.admit(SimulatedAccount {
            incoming_url,
            ..account
        });
    }
    let card = demo.card(
        &node,
        &simulator,
        &receiver,
        database_url,
        keys.admin_token.as_str(),
    );
    demo::write_private(
        &data_dir.join("dev.json"),
        &serde_json::to_vec_pretty(&card)?,
    )?;
    guide::print(&card, data_dir);
    drop(
        ambient
            .tasks
            .spawn(guide::announce(arrived, ambient.tasks.clone())),
    );
    drop(
        ambient
            .tasks
            .spawn(mails::announce(mails, ambient.tasks.clone())),
    );

    let why = boot::stop_of(&ambient.tasks).await?;
    boot::stop(node).await?;
    match why {
        Stop::Asked => Ok(()),
        Stop::Crashed => Err("a background task panicked".into()),
    }
}

fn configuration(
    listen: SocketAddr,
    database_url: &str,
    keys: &Keys,
    mails: &Path,
) -> Result<Config, Failure> {
    let variables = [
        ("DATABASE_URL", database_url.to_owned()),
        ("ONHOOK_LISTEN", listen.to_string()),
        ("ONHOOK_OPERATOR_LISTEN", ANY_PORT.to_string()),
        ("ONHOOK_PUBLIC_URL", format!("http://{}:0", host(listen))),
        ("ONHOOK_SECRET_KEY", keys.secret_key.clone()),
        ("ONHOOK_TOKEN_PEPPER", keys.token_pepper.clone()),
        ("ADMIN_TOKEN", keys.admin_token.clone()),
        ("ONHOOK_OUTBOUND_ALLOW_LOOPBACK", "true".to_owned()),
        ("ONHOOK_MAIL_URL", format!("folder:{}", mails.display())),
    ];
    config::from_variables(
        variables
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
    )
    .map_err(|faults| format!("the built-in configuration does not hold: {faults:?}").into())
}

/// The simulator and the receiver have new ports at each start.
async fn point_at(
    app: &App,
    demo: &Demo,
    simulator: &Simulator,
    receiver: &Receiver,
) -> Result<(), Failure> {
    let scope = OrgScope::assume(demo.organization_id);
    for (provider, account_id) in &demo.provider_accounts {
        let base = format!("{}/{}", simulator.base_url(), provider.as_str());
        db::provider_accounts::set_api_base_url(&app.db, scope, *account_id, &base).await?;
    }
    let url = format!("{}/", receiver.base_url());
    db::webhook_endpoints::set_url(&app.db, scope, demo.webhook_endpoint_id, &url).await?;
    if let Some(secret) = SigningSecret::parse(&demo.webhook_secret) {
        receiver.trust(secret);
    }
    Ok(())
}

fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }
}
