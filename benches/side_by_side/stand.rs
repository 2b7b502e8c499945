//! Everything that is measured and everything that it needs, set up once: the database server with
//! its seeded databases, the measured server, the provider, the customer, the bare answer.

use std::{net::SocketAddr, path::Path};

use onhook::{
    ambient::Ambient,
    boot::private_postgres::{Options, PrivatePostgres},
};
use serde_json::{Value, json};

use crate::{
    Result,
    children::{self, Environment, Running, Server},
    client,
    database::{Database, quoted, text},
    pgbench::Pgbench,
    provider::Provider,
    recording::{self, Recording},
    roles, say,
};

const MAIN: &str = "onhook";
const LIMITS: &str = "limits";

/// An organisation that requests are sent for.
pub(crate) struct Tenant {
    pub(crate) organization_id: String,
    pub(crate) agent_id: String,
    pub(crate) account_id: String,
    pub(crate) authorization: String,
}

/// The whole set-up.
pub(crate) struct Stand {
    pub(crate) environment: Environment,
    /// Answers and does the jobs of calls; [`Stand::whole`] delivers webhooks too.
    pub(crate) server: Server,
    pub(crate) hello: (Running, SocketAddr),
    pub(crate) provider: Provider,
    pub(crate) sink: SocketAddr,
    /// 1,000 ongoing calls.
    pub(crate) few: Tenant,
    /// 20,000 ongoing calls.
    pub(crate) many: Tenant,
    /// Its calls are ended; it has the webhook endpoint.
    pub(crate) ending: Tenant,
    pub(crate) main: Database,
    pub(crate) recording: Recording,
    /// `None`: there is no pgbench on this machine.
    pub(crate) pgbench: Option<Pgbench>,
    stage: Running,
    postgres: PrivatePostgres,
}

impl Stand {
    pub(crate) async fn set_up(ambient: &Ambient) -> Result<Self> {
        say("starting a PostgreSQL with default durability");
        let postgres = postgres(ambient).await?;
        let database = |name| Database {
            url: postgres.url(name),
        };
        let (main, limits) = (database(MAIN), database(LIMITS));
        let environment = Environment::new(&main.url, ambient);
        children::onhook(&environment, &["migrate"], "").await?;

        let (stage, told) = children::role(roles::STAGE).await?;
        let sink = children::address(&told, "sink")?;
        let simulator = children::address(&told, "simulator")?;
        let (few, _) = found(&environment, simulator, "few", ambient).await?;
        let (many, _) = found(&environment, simulator, "many", ambient).await?;
        let (ending, provider) = found(&environment, simulator, "ending", ambient).await?;

        say("recording one call and its end");
        let recording = record(&environment, &main, &provider, &ending, sink).await?;

        say("seeding 100 organisations, 100,000 completed and 21,000 ongoing calls");
        seed(&main, [("few", &few), ("many", &many), ("ending", &ending)]).await?;
        postgres.create_database_from(LIMITS, MAIN).await?;
        let pgbench = Pgbench::find(limits, &recording, &few, &ending).await?;
        main.run("CHECKPOINT").await?;

        let (hello, told) = children::role(roles::HELLO).await?;
        let hello = (hello, children::address(&told, "hello")?);
        let server = children::serve(&environment.without_deliveries()).await?;
        Ok(Self {
            environment,
            server,
            hello,
            provider,
            sink,
            few,
            many,
            ending,
            main,
            recording,
            pgbench,
            stage,
            postgres,
        })
    }

    /// Starts a node that does everything, deliveries too.
    pub(crate) async fn whole(&self) -> Result<Server> {
        children::serve(&self.environment).await
    }

    /// Ends every process and removes the data.
    pub(crate) async fn tear_down(self) -> Result<()> {
        self.server.running.end().await?;
        self.hello.0.end().await?;
        self.stage.end().await?;
        Ok(self.postgres.stop().await?)
    }
}

async fn postgres(ambient: &Ambient) -> Result<PrivatePostgres> {
    let name = format!("side-by-side-{}", ambient.entropy.uuid().simple());
    let options = Options {
        data_dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join(name),
        durable: true,
        keep: false,
        max_connections: 100,
    };
    let postgres = PrivatePostgres::start(options, ambient.entropy.as_ref()).await?;
    postgres.create_database(MAIN).await?;
    Ok(postgres)
}

/// Lets a server that is gone again afterwards place and end a call.
async fn record(
    environment: &Environment,
    main: &Database,
    provider: &Provider,
    tenant: &Tenant,
    sink: SocketAddr,
) -> Result<Recording> {
    let statistics = "CREATE EXTENSION pg_stat_statements";
    let has_statistics = main.run(statistics).await.is_ok();
    main.run(include_str!("recorder.sql")).await?;
    let server = children::serve(environment).await?;
    add_endpoint(&server, tenant, sink).await?;
    let recording = recording::record(&server, main, provider, tenant, has_statistics).await?;
    server.running.end().await?;
    recording::end_recording(main).await?;
    Ok(recording)
}

async fn seed(main: &Database, tenants: [(&str, &Tenant); 3]) -> Result<()> {
    for (name, tenant) in tenants {
        let id = quoted(&tenant.organization_id);
        main.run(format!("INSERT INTO bench.tenant VALUES ('{name}', {id})"))
            .await?;
    }
    main.run(include_str!("seed.sql")).await?;
    main.run("VACUUM ANALYZE").await
}

/// Founds an organisation as an operator does, with an account at the simulated provider.
async fn found(
    environment: &Environment,
    simulator: SocketAddr,
    name: &str,
    ambient: &Ambient,
) -> Result<(Tenant, Provider)> {
    let arguments = [
        "admin",
        "create-organization",
        "--name",
        name,
        "--token",
        "--json",
    ];
    let founded: Value =
        serde_json::from_str(&children::onhook(environment, &arguments, "").await?)?;
    let (organization_id, agent_id) = (
        text(&founded, "organization_id")?,
        text(&founded, "agent_id")?,
    );
    let account = format!("AC{}", ambient.entropy.uuid().simple());
    let secret = ambient.entropy.uuid().simple().to_string();
    let body = json!({"provider": "twilio", "external_id": account, "secret": secret});
    client::once(simulator, "POST", "/_sim/accounts", &[], &body.to_string()).await?;
    let base = format!("http://{simulator}/twilio");
    let arguments = [
        "admin",
        "connect-account",
        "--organization-id",
        organization_id,
        "--agent-id",
        agent_id,
        "--provider",
        "twilio",
        "--external-id",
        &account,
        "--number",
        "+15550100",
        "--api-base-url",
        &base,
        "--simulated",
        "--price-micros-per-minute",
        "14000",
    ];
    let credentials = json!({"auth_token": secret}).to_string();
    let connected: Value =
        serde_json::from_str(&children::onhook(environment, &arguments, &credentials).await?)?;
    let tenant = Tenant {
        organization_id: organization_id.to_owned(),
        agent_id: agent_id.to_owned(),
        account_id: text(&connected, "provider_account_id")?.to_owned(),
        authorization: format!("Bearer {}", text(&founded, "token")?),
    };
    Ok((tenant, Provider::new(simulator, &account, &secret)))
}

async fn add_endpoint(server: &Server, tenant: &Tenant, sink: SocketAddr) -> Result<()> {
    let body = json!({"url": format!("http://{sink}/events")}).to_string();
    let headers = [
        ("authorization", tenant.authorization.as_str()),
        ("content-type", "application/json"),
    ];
    let path = "/api/v1/webhook-endpoints";
    client::once(server.address, "POST", path, &headers, &body).await?;
    Ok(())
}
