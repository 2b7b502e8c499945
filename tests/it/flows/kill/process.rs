//! `onhook serve` as a child process on a port of its own, with everything else in the test.

use std::{collections::BTreeMap, fs::File, process::Stdio};

use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use crate::support::{
    app::{TestApp, variables},
    client::TestClient,
    ports::free_port,
    wait::wait_for,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_onhook");

/// A node that can be killed. It is gone with the test, however that ends.
pub struct NodeProcess {
    pub client: TestClient,
    variables: BTreeMap<String, String>,
    log: File,
    running: Option<Child>,
}

impl NodeProcess {
    /// Starts a node on the test's database and waits until it answers.
    pub async fn start(app: &TestApp) -> Self {
        Self::start_with(app, &[]).await
    }

    /// As [`NodeProcess::start`], with these variables changed.
    pub async fn start_with(app: &TestApp, changes: &[(&str, &str)]) -> Self {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let mut variables = variables(&app.database.url);
        for (name, value) in [
            ("ONHOOK_LISTEN", address.clone()),
            ("ONHOOK_PUBLIC_URL", format!("http://{address}")),
            ("ONHOOK_LOG", "plain:info".to_owned()),
        ] {
            variables.insert(name.to_owned(), value);
        }
        for (name, value) in changes {
            variables.insert((*name).to_owned(), (*value).to_owned());
        }
        let name = app.tenant.organization_id;
        let path = format!("{}/node-{name}-{port}.log", env!("CARGO_TARGET_TMPDIR"));
        let mut node = Self {
            client: TestClient::new(&format!("http://{address}"), Some(&app.tenant.token)),
            variables,
            log: File::create(&path).expect("a log file"),
            running: None,
        };
        node.spawn();
        node.wait_until_ready().await;
        node
    }

    /// Changes a variable for what is started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Starts the program; it does not answer yet.
    pub fn spawn(&mut self) {
        let log = |file: &File| Stdio::from(file.try_clone().expect("the log file"));
        let child = Command::new(PROGRAM)
            .arg("serve")
            .env_clear()
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(log(&self.log))
            .stderr(log(&self.log))
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        self.running = Some(child);
    }

    /// SIGKILL: nothing of the node's own runs any more.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            child.kill().await.expect("the program is killed");
        }
    }

    /// Kills it, if it runs, and starts it again.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.spawn();
        self.wait_until_ready().await;
    }

    /// Waits until connections are accepted.
    pub async fn wait_until_listening(&self) {
        let address = &self.variables["ONHOOK_LISTEN"];
        let ask = || async { TcpStream::connect(address).await.is_ok() };
        wait_for("the node to listen", ask, |listens| *listens).await;
    }

    pub async fn wait_until_ready(&self) {
        let ask = || async {
            let get = reqwest::Method::GET;
            let reply = self.client.try_send(get, "/readyz", &[], "").await;
            reply.is_ok_and(|reply| reply.status == 200)
        };
        wait_for("the node to be ready", ask, |ready| *ready).await;
    }

    /// Runs another command of the program to its end: its exit code and what it printed.
    pub async fn run(&self, command: &str) -> (Option<i32>, String) {
        let output = Command::new(PROGRAM)
            .arg(command)
            .env_clear()
            .envs(&self.variables)
            .output()
            .await
            .expect("the program runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        (output.status.code(), text)
    }
}
