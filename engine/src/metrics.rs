//! Prometheus families, registered once per engine, with handles that a hot path can use without a look-up.
//!
//! Nothing is labelled by tenant, group or user: those have no bound.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
    exponential_buckets,
};

use crate::protocol::code::{CloseCode, ErrorCode};

/// The families of one engine. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// WebSockets that are open.
    pub sessions: IntGauge,
    /// WebSockets that were opened.
    pub sessions_opened: IntCounter,
    /// Messages that became durable.
    pub messages: IntCounter,
    /// Messages put into sessions' queues: one message to a hundred sessions counts a hundred.
    pub deliveries: IntCounter,
    /// Roster frames not sent to slow sessions.
    pub roster_frames_shed: IntCounter,
    /// From taking a message to its being durable.
    pub append_seconds: Histogram,
    /// Groups in memory.
    pub groups_awake: IntGauge,
    /// Groups whose actor crashed.
    pub group_crashes: IntCounter,
    /// The store's own.
    pub store: StoreMetrics,
    frames: IntCounterVec,
    refusals: IntCounterVec,
    closes: IntCounterVec,
}

/// The families of the embedded store.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    commit_ops: Histogram,
    commit_seconds: Histogram,
    failures: IntCounter,
}

impl StoreMetrics {
    /// A round of writes was synced.
    pub fn committed(&self, ops: usize, took: Duration) {
        if ops > 0 {
            self.commit_ops.observe(ops as f64);
            self.commit_seconds.observe(took.as_secs_f64());
        }
    }

    /// A round of writes failed.
    pub fn failed(&self) {
        self.failures.inc();
    }
}

impl Metrics {
    /// Families of their own, so that several engines in one process don't count together.
    pub fn new() -> Self {
        let registry = Registry::new();
        let seconds = |start| exponential_buckets(start, 2.0, 16).expect("start and factor are positive");
        let store = StoreMetrics {
            commit_ops: histogram(
                &registry,
                "kijimuna_commit_ops",
                "Writes that one sync made durable.",
                exponential_buckets(1.0, 2.0, 14).expect("start and factor are positive"),
            ),
            commit_seconds: histogram(
                &registry,
                "kijimuna_commit_seconds",
                "Write and sync of one round.",
                seconds(0.000_1),
            ),
            failures: counter(&registry, "kijimuna_store_failures_total", "Rounds of writes that failed."),
        };
        Self {
            sessions: gauge(&registry, "kijimuna_sessions", "WebSockets that are open."),
            sessions_opened: counter(
                &registry,
                "kijimuna_sessions_opened_total",
                "WebSockets that were opened.",
            ),
            messages: counter(&registry, "kijimuna_messages_total", "Messages that became durable."),
            deliveries: counter(
                &registry,
                "kijimuna_deliveries_total",
                "Messages put into sessions' queues.",
            ),
            roster_frames_shed: counter(
                &registry,
                "kijimuna_roster_frames_shed_total",
                "Roster frames not sent to slow sessions.",
            ),
            append_seconds: histogram(
                &registry,
                "kijimuna_append_seconds",
                "From taking a message to its being durable.",
                seconds(0.000_1),
            ),
            groups_awake: gauge(&registry, "kijimuna_groups_awake", "Groups in memory."),
            group_crashes: counter(&registry, "kijimuna_group_crashes_total", "Groups whose actor crashed."),
            frames: labelled(
                &registry,
                "kijimuna_frames_received_total",
                "Client frames by action.",
                "action",
            ),
            refusals: labelled(
                &registry,
                "kijimuna_refusals_total",
                "Frames refused, by error code.",
                "code",
            ),
            closes: labelled(
                &registry,
                "kijimuna_closes_total",
                "WebSockets closed by the server, by code.",
                "code",
            ),
            store,
            registry: Arc::new(registry),
        }
    }

    /// A client frame was read.
    pub fn frame(&self, action: &'static str) {
        self.frames.with_label_values(&[action]).inc();
    }

    /// A client frame was refused.
    pub fn refused(&self, code: ErrorCode) {
        self.refusals.with_label_values(&[code.word]).inc();
    }

    /// The server closes a WebSocket.
    pub fn closed(&self, code: CloseCode) {
        self.closes.with_label_values(&[code.number.to_string().as_str()]).inc();
    }

    /// Where others, such as the HTTP front end, register what they count.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Everything, in Prometheus' text format.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_else(|error| {
            tracing::error!(%error, "the metrics can't be written");
            String::new()
        })
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry.register(Box::new(collector.clone())).expect("each family stands once in this file");
    collector
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    registered(registry, IntCounter::new(name, help).expect("a valid name"))
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    registered(registry, IntGauge::new(name, help).expect("a valid name"))
}

fn labelled(registry: &Registry, name: &str, help: &str, label: &str) -> IntCounterVec {
    registered(registry, IntCounterVec::new(Opts::new(name, help), &[label]).expect("a valid name"))
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: Vec<f64>) -> Histogram {
    let options = HistogramOpts::new(name, help).buckets(buckets);
    registered(registry, Histogram::with_opts(options).expect("a valid name"))
}
