//! What is told at the end: a table, JSON, and a page with plots.

pub(crate) mod files;
mod html;
mod json;
mod plot;
mod table;

use crate::outcome::{Ended, Outcome};
use crate::plan::End;

/// What surrounds a run in its reports.
pub(crate) struct Heading {
    pub(crate) scenario: &'static str,
    pub(crate) about: &'static str,
    pub(crate) settings: std::collections::BTreeMap<&'static str, String>,
    /// Seconds since 1970.
    pub(crate) began_unix_s: u64,
}

/// What the server used for what was measured.
pub(crate) struct ServerUse {
    pub(crate) pids: Vec<u32>,
    pub(crate) cpu_us: f64,
    /// Of one processor.
    pub(crate) cpu_percent: f64,
    pub(crate) cpu_us_per_delivery: Option<f64>,
    /// The same where joins and pages are part of the work, which no one can tell apart: a delivery costs no more.
    pub(crate) cpu_us_per_delivery_at_most: Option<f64>,
    pub(crate) cpu_us_per_join: Option<f64>,
    /// In a second, while nothing is said.
    pub(crate) cpu_us_per_connection: Option<f64>,
    pub(crate) rss_kib: u64,
    /// What it grew by since before the first socket.
    pub(crate) rss_grown_kib: u64,
    pub(crate) kib_per_connection: Option<f64>,
}

impl Outcome {
    pub(crate) fn server_use(&self) -> Option<ServerUse> {
        let server = self.server.as_ref()?;
        let (begin_ns, end_ns) = self.measured_ns?;
        let cpu_us = server.cpu_us(begin_ns, end_ns);
        let rss_kib = server.rss_kib(end_ns);
        let rss_grown_kib = rss_kib.saturating_sub(server.rss_kib(self.began_ns));
        let per = |count: u64| (count > 0).then(|| cpu_us / count as f64);
        let members = u64::from(self.plan.members());
        let silent = self.plan.talk.is_none() && self.plan.paging.is_none() && self.plan.end != End::Joined;
        let joined = self.joined_ns.is_some() && self.ended != Ended::ServerGone;
        Some(ServerUse {
            pids: server.pids(),
            cpu_us,
            cpu_percent: cpu_us / (self.measured_s() * 1e6).max(1.0) * 100.0,
            cpu_us_per_delivery: if self.only_delivers() { per(self.measured.deliveries) } else { None },
            cpu_us_per_delivery_at_most: if self.delivers_among_others() {
                per(self.measured.deliveries)
            } else {
                None
            },
            cpu_us_per_join: if self.plan.end == End::Joined { per(self.measured.joins) } else { None },
            cpu_us_per_connection: if silent {
                per(members).map(|us| us / self.measured_s().max(0.001))
            } else {
                None
            },
            rss_kib,
            rss_grown_kib,
            kib_per_connection: joined.then(|| rss_grown_kib as f64 / members as f64),
        })
    }

    /// While it is measured nobody comes or goes, and nobody asks for history: all that the server does is deliver.
    pub(crate) fn only_delivers(&self) -> bool {
        let steady = self.plan.churn_per_s == 0.0 && self.plan.paging.is_none();
        matches!(self.plan.end, End::After { .. }) && steady
    }

    /// It delivers for a known time, and does other things meanwhile.
    fn delivers_among_others(&self) -> bool {
        matches!(self.plan.end, End::After { .. }) && !self.only_delivers()
    }

    /// What this tool itself used of the processors, in percent of one.
    pub(crate) fn generator_percent(&self) -> f64 {
        self.generator_cpu_ns as f64 / (self.measured_s() * 1e9).max(1.0) * 100.0
    }

    /// From the storm until all were back, in seconds, if they ever were.
    pub(crate) fn storm_s(&self) -> Option<f64> {
        self.storm_length_ns().map(|length_ns| length_ns as f64 / 1e9)
    }

    /// Joins a second, where joining is what is measured.
    pub(crate) fn joins_per_s(&self) -> Option<f64> {
        (self.plan.end == End::Joined).then(|| self.per_s(self.measured.joins))
    }

    /// What a join brings, where joining is what is measured: in one group it may grow with the group, since everyone
    /// gets the roster, but not faster.
    pub(crate) fn bytes_per_join(&self) -> Option<f64> {
        let joins = self.measured.joins;
        (self.plan.end == End::Joined && joins > 0).then(|| self.measured.bytes as f64 / joins as f64)
    }

    pub(crate) fn ended_word(&self) -> &'static str {
        match self.ended {
            Ended::Complete => "complete",
            Ended::Interrupted => "interrupted",
            Ended::ServerGone => "server_gone",
            Ended::TooSlow => "too_slow",
            Ended::Failed(_) => "failed",
        }
    }
}
