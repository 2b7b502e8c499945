//! The metrics, named in one list. Passed as a value: there is no global registry.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::domain::Timestamp;

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Every metric of the process.
pub struct Metrics {
    registry: Registry,
    requests: Histograms<RequestLabels>,
    ends: Histograms<EndLabels>,
    provider_requests: Histograms<ProviderLabels>,
    callbacks: Family<CallbackLabels, Counter>,
    reconciled: Family<ReconciledLabels, Counter>,
    deliveries: Histograms<DeliveryLabels>,
    jobs_open: Gauge,
    job_lag: Gauge,
    deliveries_pending: Gauge,
    delivery_lag: Gauge,
    connections: Family<PoolLabels, Gauge>,
    refused_accounts: Family<AccountLabels, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    provider: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderLabels {
    provider: &'static str,
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallbackLabels {
    provider: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconciledLabels {
    provider: &'static str,
    finding: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabels {
    pool: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AccountLabels {
    account: String,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("onhook"),
            requests: Family::new_with_constructor(seconds),
            ends: Family::new_with_constructor(seconds),
            provider_requests: Family::new_with_constructor(seconds),
            callbacks: Family::default(),
            reconciled: Family::default(),
            deliveries: Family::new_with_constructor(seconds),
            jobs_open: Gauge::default(),
            job_lag: Gauge::default(),
            deliveries_pending: Gauge::default(),
            delivery_lag: Gauge::default(),
            connections: Family::default(),
            refused_accounts: Family::default(),
        };
        metrics.registered()
    }
}

impl Metrics {
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        let unit = || Unit::Seconds;
        registry.register_with_unit(
            "http_request",
            "Requests by route and status",
            unit(),
            self.requests.clone(),
        );
        registry.register_with_unit(
            "call_end",
            "From the wish to end to the evidence, by provider and outcome",
            unit(),
            self.ends.clone(),
        );
        registry.register_with_unit(
            "provider_request",
            "Requests to providers by operation and outcome",
            unit(),
            self.provider_requests.clone(),
        );
        registry.register(
            "callbacks",
            "Provider callbacks by outcome",
            self.callbacks.clone(),
        );
        registry.register(
            "reconciliation_findings",
            "Calls that we and the provider did not agree on, by finding, in each round anew",
            self.reconciled.clone(),
        );
        registry.register_with_unit(
            "webhook_delivery",
            "Delivery attempts by outcome",
            unit(),
            self.deliveries.clone(),
        );
        registry.register("jobs_open", "Jobs in the queue", self.jobs_open.clone());
        registry.register(
            "job_lag_milliseconds",
            "How late the oldest due job is",
            self.job_lag.clone(),
        );
        registry.register(
            "webhook_deliveries_pending",
            "Deliveries in the queue",
            self.deliveries_pending.clone(),
        );
        registry.register(
            "webhook_delivery_lag_milliseconds",
            "How late the oldest due delivery is",
            self.delivery_lag.clone(),
        );
        registry.register(
            "database_connections",
            "Database connections by pool and state",
            self.connections.clone(),
        );
        registry.register(
            "provider_account_refused",
            "Accounts whose providers refuse our credentials, as this node has seen it",
            self.refused_accounts.clone(),
        );
        self
    }

    pub fn request(&self, method: &str, route: &str, status: u16, elapsed: Duration) {
        // Anybody can make up a method: only those that routes may have become labels.
        let known = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"];
        let method = if known.contains(&method) {
            method
        } else {
            "other"
        };
        let labels = RequestLabels {
            method: method.to_owned(),
            route: route.to_owned(),
            status,
        };
        self.requests
            .get_or_create(&labels)
            .observe(elapsed.as_secs_f64());
    }

    /// A wish to end came to evidence.
    pub fn end(&self, provider: &'static str, outcome: &'static str, latency: time::Duration) {
        let labels = EndLabels { provider, outcome };
        self.ends
            .get_or_create(&labels)
            .observe(latency.as_seconds_f64());
    }

    pub fn provider_request(
        &self,
        provider: &'static str,
        operation: &'static str,
        outcome: &'static str,
        elapsed: Duration,
    ) {
        let labels = ProviderLabels {
            provider,
            operation,
            outcome,
        };
        self.provider_requests
            .get_or_create(&labels)
            .observe(elapsed.as_secs_f64());
    }

    pub fn callback(&self, provider: &str, outcome: &'static str) {
        // The name comes from the path: only names of ours become labels.
        let known = provider.parse::<crate::domain::provider::ProviderKind>();
        let provider = known.map_or("other", |kind| kind.as_str()).to_owned();
        self.callbacks
            .get_or_create(&CallbackLabels { provider, outcome })
            .inc();
    }

    /// A comparison with the provider's live calls found `count` calls of a kind.
    pub fn reconciled(&self, provider: &'static str, finding: &'static str, count: u64) {
        let labels = ReconciledLabels { provider, finding };
        self.reconciled.get_or_create(&labels).inc_by(count);
    }

    pub fn delivery(&self, outcome: &'static str, elapsed: Duration) {
        self.deliveries
            .get_or_create(&DeliveryLabels { outcome })
            .observe(elapsed.as_secs_f64());
    }

    pub fn job_queue(&self, open: i64, oldest_due: Option<Timestamp>, now: Timestamp) {
        self.jobs_open.set(open);
        self.job_lag.set(lag_millis(oldest_due, now));
    }

    pub fn delivery_queue(&self, pending: i64, oldest_due: Option<Timestamp>, now: Timestamp) {
        self.deliveries_pending.set(pending);
        self.delivery_lag.set(lag_millis(oldest_due, now));
    }

    pub fn pools(&self, pools: &[(&'static str, u32, usize)]) {
        for (pool, open, idle) in pools {
            let gauge = |state| {
                self.connections
                    .get_or_create(&PoolLabels { pool, state })
                    .clone()
            };
            gauge("open").set(i64::from(*open));
            gauge("idle").set(i64::try_from(*idle).unwrap_or(i64::MAX));
        }
    }

    /// The accounts whose credentials are refused now; the others are not shown.
    pub fn refused_accounts(&self, accounts: impl Iterator<Item = String>) {
        self.refused_accounts.clear();
        for account in accounts {
            self.refused_accounts
                .get_or_create(&AccountLabels { account })
                .set(1);
        }
    }

    /// The `OpenMetrics` text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Writing into a string cannot fail.
            Err(std::fmt::Error) => String::new(),
        }
    }
}

fn lag_millis(oldest_due: Option<Timestamp>, now: Timestamp) -> i64 {
    oldest_due
        .map_or(0, |due| now.unix_millis() - due.unix_millis())
        .max(0)
}
