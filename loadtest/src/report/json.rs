//! Everything that was measured, for other programs. Names end in their units.

use serde_json::{Value, json};

use super::Heading;
use crate::histogram::{Summary, Times};
use crate::outcome::{Outcome, Second};

/// The report as JSON.
pub(crate) fn value(heading: &Heading, outcome: &Outcome) -> Value {
    let (totals, measured) = (&outcome.totals, &outcome.measured);
    json!({
        "tool": { "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") },
        "scenario": heading.scenario,
        "settings": heading.settings,
        "began_unix_s": heading.began_unix_s,
        "members": outcome.plan.members(),
        "groups": outcome.plan.groups.len(),
        "workers": outcome.workers,
        "ended": outcome.ended_word(),
        "faults": outcome.faults(),
        "hints": outcome.hints(),
        "measured": {
            "seconds": outcome.measured_s(),
            "sent": measured.sent,
            "sent_per_s": outcome.per_s(measured.sent),
            "deliveries": measured.deliveries,
            "deliveries_per_s": outcome.per_s(measured.deliveries),
            "joins": measured.joins,
            "joins_per_s": outcome.per_s(measured.joins),
            "pages": measured.pages,
            "pages_per_s": outcome.per_s(measured.pages),
            "page_messages": measured.page_messages,
            "received_bytes": measured.bytes,
            "received_bytes_per_join": outcome.bytes_per_join(),
        },
        "totals": {
            "sent": totals.sent,
            "deliveries": totals.deliveries,
            "joins": totals.joins,
            "leaves": totals.leaves,
            "pages": totals.pages,
            "received_bytes": totals.bytes,
        },
        "lost": outcome.lost,
        "duplicated": totals.duplicated,
        "reordered": totals.reordered,
        "strays": totals.strays,
        "altered": totals.altered,
        "wrong_pages": totals.wrong_pages,
        "unanswered_pages": totals.unanswered,
        "refused": totals.refused,
        "unknown_frames": totals.unknown,
        "unsaid": totals.unsaid,
        "unasked": totals.unasked,
        "unleft": totals.unleft,
        "absent": totals.absent,
        "unanswered_pings": totals.silent,
        "errors": totals.errors,
        "closes": totals.closes,
        "closes_of_slow_readers": totals.slow_closes,
        "held_back": totals.held_back,
        "latency": summary(&outcome.latency),
        "latency_distribution": (!outcome.latency.is_empty()).then(|| outcome.latency.distribution()),
        "sent_late": summary(&outcome.late),
        "join": summary(&outcome.join),
        "page": summary(&outcome.page),
        "storm": outcome.stormed().then(|| json!({
            "all_back_s": outcome.storm_s(),
            "quiet_before": summary(&outcome.calm),
            "quiet_meanwhile": summary(&outcome.meanwhile()),
        })),
        "server": server(outcome),
        "generator": {
            "cpu_percent": outcome.generator_percent(),
            "cpu_us_per_delivery": (measured.deliveries > 0)
                .then(|| outcome.generator_cpu_ns as f64 / 1e3 / measured.deliveries as f64),
        },
        "seconds": outcome.seconds.iter().map(|second| row(outcome, second)).collect::<Vec<_>>(),
    })
}

/// Of no time at all there is none: a nought would be the best of all.
fn summary(times: &Times) -> Option<Summary> {
    (!times.is_empty()).then(|| times.summary())
}

fn server(outcome: &Outcome) -> Option<Value> {
    let server = outcome.server_use()?;
    Some(json!({
        "pids": server.pids,
        "cpu_us": server.cpu_us,
        "cpu_percent": server.cpu_percent,
        "cpu_us_per_delivery": server.cpu_us_per_delivery,
        "cpu_us_per_delivery_at_most": server.cpu_us_per_delivery_at_most,
        "cpu_us_per_join": server.cpu_us_per_join,
        "cpu_us_per_connection_second": server.cpu_us_per_connection,
        "rss_kib": server.rss_kib,
        "rss_grown_kib": server.rss_grown_kib,
        "kib_per_connection": server.kib_per_connection,
    }))
}

fn row(outcome: &Outcome, second: &Second) -> Value {
    let server = outcome.server.as_ref();
    let time = |us: u64| (second.heard > 0).then_some(us);
    json!({
        "at_s": (second.end_ns.saturating_sub(outcome.began_ns)) as f64 / 1e9,
        "length_s": second.length_s(),
        "phase": second.phase,
        "sent": second.sent,
        "deliveries": second.deliveries,
        "joins": second.joins,
        "pages": second.pages,
        "errors": second.errors,
        "connected": second.connected,
        "p50_us": time(second.p50_us),
        "p99_us": time(second.p99_us),
        "max_us": time(second.max_us),
        "server_cpu_us": server.map(|server| server.cpu_us(second.begin_ns, second.end_ns)),
        "server_rss_kib": server.map(|server| server.rss_kib(second.end_ns)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn what_was_never_measured_is_null_and_not_nought() {
        let heading = Heading { scenario: "x", about: "", settings: [].into(), began_unix_s: 0 };
        let mut outcome = Outcome::new(Plan::default(), 1, None);
        (outcome.storm_ns, outcome.measured_ns) = (Some(1), Some((0, 1_000_000_001)));
        let told = value(&heading, &outcome);
        for name in ["latency", "latency_distribution", "sent_late", "join", "page"] {
            assert!(told[name].is_null(), "{name}");
        }
        let storm = json!({ "all_back_s": null, "quiet_before": null, "quiet_meanwhile": null });
        assert_eq!(told["storm"], storm);
        outcome.measured_ns = Some((0, 1));
        assert!(value(&heading, &outcome)["storm"].is_null(), "there was none");
    }
}
