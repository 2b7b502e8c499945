//! Runs a script by the interpreter that the machine has, if it has what the script needs.

use std::process::Stdio;

use onhook::cli::terminal;
use tokio::{io::AsyncWriteExt, process::Command};

/// An interpreter that reads its script from its input.
pub struct Language {
    program: &'static str,
    arguments: &'static [&'static str],
}

/// What a script came to.
#[derive(Debug)]
pub struct Output {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Language {
    pub async fn python_with_requests() -> Option<Self> {
        let python = Self {
            program: "python3",
            arguments: &["-"],
        };
        python.that_runs("import requests").await
    }

    pub async fn python_with_flask() -> Option<Self> {
        let python = Self {
            program: "python3",
            arguments: &["-"],
        };
        python.that_runs("import flask, requests").await
    }

    pub async fn node_with_axios() -> Option<Self> {
        let node = Self {
            program: "node",
            arguments: &["--input-type=commonjs", "-"],
        };
        node.that_runs("require('axios')").await
    }

    /// For modules, which may await at their top, with the built-in `fetch`.
    pub async fn node_modules() -> Option<Self> {
        let node = Self {
            program: "node",
            arguments: &["--input-type=module", "-"],
        };
        node.that_runs("await Promise.resolve(fetch)").await
    }

    pub async fn shell_with_curl() -> Option<Self> {
        let shell = Self {
            program: "sh",
            arguments: &["-s"],
        };
        shell.that_runs("curl --version").await
    }

    pub async fn bash_with_curl_and_jq() -> Option<Self> {
        let shell = Self {
            program: "bash",
            arguments: &["-s"],
        };
        shell
            .that_runs("set -e; curl --version; jq --version")
            .await
    }

    pub async fn bash_with_curl_and_openssl() -> Option<Self> {
        let shell = Self {
            program: "bash",
            arguments: &["-s"],
        };
        shell
            .that_runs("set -e; curl --version; openssl version")
            .await
    }

    /// Itself when it runs `needs` without an error; otherwise says that it was skipped.
    async fn that_runs(self, needs: &str) -> Option<Self> {
        let why = match self.try_run(needs).await {
            Ok(output) if output.success => return Some(self),
            Ok(output) => output.stderr,
            Err(error) => error.to_string(),
        };
        terminal::complain(&format!(
            "skipped: {} does not run `{needs}`: {why}",
            self.program
        ));
        None
    }

    pub async fn run(&self, script: &str) -> Output {
        self.try_run(script).await.expect("the interpreter runs")
    }

    async fn try_run(&self, script: &str) -> std::io::Result<Output> {
        let mut child = Command::new(self.program)
            .args(self.arguments)
            // Whatever proxy the machine has does not lead here.
            .env("NO_PROXY", "127.0.0.1")
            .env("no_proxy", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(script.as_bytes()).await?;
        }
        let output = child.wait_with_output().await?;
        Ok(Output {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
