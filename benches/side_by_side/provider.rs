//! The simulated provider, as the benchmark commands it and as calls are placed at it.

use std::net::SocketAddr;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    Result,
    client::{self, Connection},
    database::text,
};

/// Calls are placed over so many connections.
const PLACING: usize = 8;

/// The provider and one account at it.
pub(crate) struct Provider {
    address: SocketAddr,
    account: String,
    authorization: String,
}

/// Requests that the provider has seen since it last forgot all.
pub(crate) struct Stats {
    pub(crate) hang_ups: u64,
    pub(crate) most_in_flight: u64,
}

impl Provider {
    pub(crate) fn new(address: SocketAddr, account: &str, secret: &str) -> Self {
        let credentials = BASE64_STANDARD.encode(format!("{account}:{secret}"));
        Self {
            address,
            account: account.to_owned(),
            authorization: format!("Basic {credentials}"),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forgets all calls; from now on calls are answered at once, and a hang-up takes so long.
    pub(crate) async fn reset(&self, hang_up_millis: u64) -> Result<()> {
        self.command("DELETE", "/_sim", &Value::Null).await?;
        let script = json!({"ring_after_ms": 0, "answer_after_ms": 0});
        self.command("POST", "/_sim/script", &script).await?;
        if hang_up_millis > 0 {
            let fault = json!({
                "provider": "twilio", "operation": "hangup", "times": 0, "delay_ms": hang_up_millis
            });
            self.command("POST", "/_sim/faults", &fault).await?;
        }
        Ok(())
    }

    /// From now on, until the next reset, nothing is reported by callback.
    pub(crate) async fn drop_callbacks(&self) -> Result<()> {
        let fault =
            json!({"provider": "twilio", "operation": "callback", "times": 0, "drop": true});
        self.command("POST", "/_sim/faults", &fault).await?;
        Ok(())
    }

    pub(crate) async fn stats(&self) -> Result<Stats> {
        let stats = self.command("GET", "/_sim/stats", &Value::Null).await?;
        let number = |name| stats.get(name).and_then(Value::as_u64);
        Ok(Stats {
            hang_ups: number("hangups").ok_or("no hangups in the stats")?,
            most_in_flight: number("max_in_flight_hangups").ok_or("no max in the stats")?,
        })
    }

    /// How often the provider was asked to hang up this call.
    pub(crate) async fn hang_ups_of(&self, id: &str) -> Result<u64> {
        let path = format!("/_sim/calls/{id}");
        let call = self.command("GET", &path, &Value::Null).await?;
        let count = call.get("hangup_requests").and_then(Value::as_u64);
        Ok(count.ok_or("no hangup_requests")?)
    }

    /// Places calls that live at the provider alone, and returns its ids of them.
    pub(crate) async fn place(&self, count: usize) -> Result<Vec<String>> {
        let path = format!("/twilio/2010-04-01/Accounts/{}/Calls.json", self.account);
        let headers = [
            ("authorization", self.authorization.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let body = "To=%2B15550101&From=%2B15550100&Twiml=%3CResponse%2F%3E";
        let request = client::request("POST", &path, &headers, body);
        let mut placing = JoinSet::new();
        for _ in 0..PLACING {
            let (address, request) = (self.address, request.clone());
            placing.spawn(async move {
                let mut connection = Connection::open(address).await?;
                let mut ids = Vec::new();
                for _ in 0..count.div_ceil(PLACING) {
                    let call = connection.exchange(&request).await?.json()?;
                    ids.push(text(&call, "sid")?.to_owned());
                }
                Result::Ok(ids)
            });
        }
        let mut ids = Vec::new();
        while let Some(placed) = placing.join_next().await {
            ids.extend(placed??);
        }
        Ok(ids)
    }

    async fn command(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        client::once(self.address, method, path, &[], &body).await
    }
}
