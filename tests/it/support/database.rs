//! A database for each test, on one PostgreSQL server for the whole test process.
//!
//! The server is private and needs no configuration. It starts with the first test that asks for a
//! database, and its watchdog stops and removes it when the process ends, however that happens.
//! Each test has a runtime of its own, which ends with the test, so the server lives in a thread
//! and a runtime that belong to no test.
//!
//! Migrating takes longer than copying: it is done once, and every test gets a copy.

use std::{str::FromStr, sync::LazyLock, thread};

use onhook::{
    ambient::{Entropy, OsEntropy},
    boot::private_postgres::{Options, PrivatePostgres},
    cli::terminal,
    db::migrate,
};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection,
    postgres::{PgConnectOptions, PgDatabaseError},
};
use tokio::sync::{mpsc, oneshot};

/// Every test that runs at the same moment opens the pools of one or two nodes.
const MAX_CONNECTIONS: u32 = 400;

const TEMPLATE: &str = "migrated";

static SERVER: LazyLock<mpsc::UnboundedSender<Order>> = LazyLock::new(|| {
    let (orders, queue) = mpsc::unbounded_channel();
    thread::Builder::new()
        .name("test database server".to_owned())
        .spawn(move || serve(queue))
        .expect("a thread starts");
    orders
});

enum Order {
    Create {
        template: &'static str,
        made: oneshot::Sender<Result<TestDatabase, String>>,
    },
    Drop {
        name: String,
    },
}

/// A test's own database. It is dropped, and whoever is still connected is disconnected, when this
/// is.
pub(crate) struct TestDatabase {
    name: String,
    /// For the owner of the schema, who is also the server's superuser.
    pub(crate) url: String,
}

/// A database with the current schema and nothing in it.
pub(crate) async fn fresh() -> TestDatabase {
    create(TEMPLATE).await
}

/// A database without a schema.
pub(crate) async fn empty() -> TestDatabase {
    create("template1").await
}

impl TestDatabase {
    /// Connects as the schema's owner, whom no privilege binds.
    pub(crate) async fn as_owner(&self) -> PgConnection {
        connect(&self.options()).await
    }

    /// Connects as the role that the application runs as.
    pub(crate) async fn as_application(&self) -> PgConnection {
        connect(&self.options().options([("role", "onhook_application")])).await
    }

    fn options(&self) -> PgConnectOptions {
        PgConnectOptions::from_str(&self.url).expect("the server's URL is one")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        // Nobody listens any more when the process is ending, and the server ends with it.
        SERVER.send(Order::Drop { name }).ok();
    }
}

/// Runs statements, all in one transaction.
pub(crate) async fn run(
    connection: &mut PgConnection,
    statements: &'static str,
) -> Result<(), Refusal> {
    let Err(error) = sqlx::raw_sql(statements).execute(connection).await else {
        return Ok(());
    };
    let error = error
        .as_database_error()
        .unwrap_or_else(|| panic!("the database answers {statements} with {error}"))
        .downcast_ref::<PgDatabaseError>();
    Err(Refusal {
        code: error.code().to_owned(),
        constraint: error.constraint().map(str::to_owned),
        message: error.message().to_owned(),
    })
}

/// How the database refused a statement.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Refusal {
    /// The SQLSTATE (PostgreSQL manual, appendix A).
    pub(crate) code: String,
    pub(crate) constraint: Option<String>,
    pub(crate) message: String,
}

async fn connect(options: &PgConnectOptions) -> PgConnection {
    options.connect().await.expect("the test server answers")
}

async fn create(template: &'static str) -> TestDatabase {
    let (made, answer) = oneshot::channel();
    SERVER
        .send(Order::Create { template, made })
        .expect("the test server takes orders");
    answer
        .await
        .expect("the test server answers")
        .unwrap_or_else(|error| panic!("no database for this test: {error}"))
}

/// Serves until the process ends.
fn serve(queue: mpsc::UnboundedReceiver<Order>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
        .block_on(async {
            match start().await {
                Ok(server) => carry_out(&server, queue).await,
                Err(error) => refuse(&error, queue).await,
            }
        });
}

async fn start() -> Result<PrivatePostgres, String> {
    let entropy: &dyn Entropy = &OsEntropy;
    let name = format!("onhook-it-{}", entropy.uuid().simple());
    let options = Options {
        data_dir: std::env::temp_dir().join(name),
        durable: false,
        keep: false,
        max_connections: MAX_CONNECTIONS,
    };
    let server = PrivatePostgres::start(options, entropy)
        .await
        .map_err(|error| error.to_string())?;
    server
        .create_database(TEMPLATE)
        .await
        .map_err(|error| error.to_string())?;
    migrate::run(&server.url(TEMPLATE))
        .await
        .map_err(|error| format!("could not migrate the template: {}", error.causes()))?;
    Ok(server)
}

async fn carry_out(server: &PrivatePostgres, mut queue: mpsc::UnboundedReceiver<Order>) {
    let mut number = 0_u32;
    while let Some(order) = queue.recv().await {
        match order {
            Order::Create { template, made } => {
                number += 1;
                let name = format!("test_{number}");
                let created = server
                    .create_database_from(&name, template)
                    .await
                    .map(|()| TestDatabase {
                        url: server.url(&name),
                        name,
                    })
                    .map_err(|error| error.to_string());
                // A test that has ended meanwhile drops its database unseen.
                made.send(created).ok();
            }
            Order::Drop { name } => {
                if let Err(error) = drop_database(server, name).await {
                    // It costs room on the disk until the server ends, and no test its result.
                    terminal::complain(&format!("a test's database stays: {error}"));
                }
            }
        }
    }
}

async fn drop_database(server: &PrivatePostgres, name: String) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(&server.url("postgres")).await?;
    // No parameter can stand for a name; this one was made above.
    sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)")))
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// Tells every test why there is no server.
async fn refuse(error: &str, mut queue: mpsc::UnboundedReceiver<Order>) {
    while let Some(order) = queue.recv().await {
        if let Order::Create { made, .. } = order {
            made.send(Err(error.to_owned())).ok();
        }
    }
}

#[tokio::test]
async fn what_one_test_writes_no_other_test_sees() {
    let (one, other) = tokio::join!(fresh(), fresh());
    let write = "INSERT INTO organizations (organization_id, name, created_at)
        VALUES (gen_random_uuid(), 'One', '2026-01-01Z')";
    let mut connection = one.as_owner().await;
    run(&mut connection, write).await.unwrap();

    for (database, organizations) in [(&one, 1_i64), (&other, 0)] {
        let found: i64 = sqlx::query_scalar("SELECT count(*) FROM organizations")
            .fetch_one(&mut database.as_owner().await)
            .await
            .unwrap();
        assert_eq!(found, organizations);
    }
}

#[tokio::test]
async fn a_tests_database_is_gone_once_the_test_is() {
    let database = fresh().await;
    let name = database.name.clone();
    drop(database);

    // Orders are carried out in turn, so the drop precedes this database.
    let next = empty().await;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
        .bind(name)
        .fetch_one(&mut next.as_owner().await)
        .await
        .unwrap();
    assert_eq!(left, 0);
}
