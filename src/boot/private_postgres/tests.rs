//! The life of a private PostgreSQL, with the real programs of this machine.

use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
};

use super::*;
use crate::ambient::OsEntropy;

const LIMIT: Duration = Duration::from_mins(1);

fn fresh(keep: bool) -> Options {
    let mut name = [0; 8];
    OsEntropy.fill(&mut name);
    let name = format!("onhook-test-{:016x}", u64::from_le_bytes(name));
    Options {
        data_dir: std::env::temp_dir().join(name),
        durable: false,
        keep,
        max_connections: 10,
    }
}

async fn start(options: &Options) -> Result<PrivatePostgres, PrivatePostgresError> {
    PrivatePostgres::start(options.clone(), &OsEntropy).await
}

async fn run(url: &str, statement: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(statement)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

async fn number(url: &str, query: &'static str) -> i32 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let number = sqlx::query_scalar(query)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    number
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waited = async {
        let mut ticks = ticks();
        while !condition() {
            ticks.tick().await;
        }
    };
    timeout(LIMIT, waited).await.expect(what);
}

fn refuses(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), LIMIT).is_err()
}

fn is_gone_or_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none())
}

fn kill_group(group: u32) {
    let kill = format!("kill -s KILL -- -{group}");
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", &kill])
        .status()
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn kept_data_is_found_again_after_a_stop_and_after_a_crash() {
    // Without durability a crash of the server loses what was committed a moment before.
    let options = Options {
        durable: true,
        ..fresh(true)
    };
    let postgres = start(&options).await.unwrap();
    let dir = postgres.home.dir().to_owned();
    postgres.create_database("calls").await.unwrap();
    run(
        &postgres.url("calls"),
        "CREATE TABLE seen (n int); INSERT INTO seen VALUES (1)",
    )
    .await;
    postgres.create_database("calls").await.unwrap();
    postgres
        .create_database_from("copy", "calls")
        .await
        .unwrap();
    assert_eq!(number(&postgres.url("copy"), "SELECT n FROM seen").await, 1);

    let second = start(&options).await.unwrap_err();
    assert!(
        matches!(second, PrivatePostgresError::InUse { .. }),
        "{second}"
    );

    let (url, port) = (postgres.url("calls"), postgres.server.port);
    postgres.stop().await.unwrap();
    assert!(refuses(port));

    let postgres = start(&options).await.unwrap();
    if postgres.server.port == port {
        assert_eq!(postgres.url("calls"), url);
    }
    run(&postgres.url("calls"), "UPDATE seen SET n = 2").await;
    kill_group(postgres.server.group());
    drop(postgres);

    let postgres = start(&options).await.unwrap();
    assert_eq!(
        number(&postgres.url("calls"), "SELECT n FROM seen").await,
        2
    );
    let home = postgres.home.clone();
    postgres.stop().await.unwrap();
    home.remove().unwrap();
    assert!(!dir.exists());
}

#[tokio::test]
async fn a_server_whose_owner_is_gone_ends_and_takes_its_data_with_it() {
    let options = fresh(false);
    let postgres = start(&options).await.unwrap();
    let (dir, port) = (postgres.home.dir().to_owned(), postgres.server.port);
    assert!(!refuses(port) && !is_gone_or_empty(&dir));

    drop(postgres);

    until("the server ends", || refuses(port)).await;
    until("its data is removed", || is_gone_or_empty(&dir)).await;
}

#[tokio::test]
async fn somebodys_directory_is_left_alone() {
    let options = fresh(false);
    std::fs::create_dir(&options.data_dir).unwrap();
    let thesis = options.data_dir.join("thesis.tex");
    std::fs::write(&thesis, "…").unwrap();

    let refused = start(&options).await.unwrap_err();

    assert!(
        matches!(refused, PrivatePostgresError::NotOurDirectory { .. }),
        "{refused}"
    );
    assert!(thesis.exists());
    std::fs::remove_dir_all(&options.data_dir).unwrap();
}

#[test]
fn a_name_that_would_need_quotes_is_refused() {
    for name in ["", "Calls", "1st", "a-b", "a\"b", "a b", &"a".repeat(64)] {
        assert!(checked_name(name).is_err(), "{name}");
    }
    assert!(checked_name("onhook_test_17").is_ok());
}
