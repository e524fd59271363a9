//! The table on the standard output, whose rows the page shows, too.

use std::io::{self, Write};

use super::Heading;
use crate::histogram::Times;
use crate::outcome::Outcome;
use crate::progress::{milliseconds, thousands};

/// Kinds of errors and closes that a row lists.
const LISTED_MAX: usize = 20;

/// A line: what, and how much.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) much: String,
}

/// Writes everything.
pub(crate) fn write(heading: &Heading, outcome: &Outcome, mut out: impl Write) -> io::Result<()> {
    writeln!(out, "\n{}: {}", heading.scenario, heading.about)?;
    for Row { what, much } in rows(outcome) {
        writeln!(out, "  {what:<26} {much}")?;
    }
    for fault in outcome.faults() {
        writeln!(out, "FAULT  {fault}")?;
    }
    for hint in outcome.hints() {
        writeln!(out, "HINT   {hint}")?;
    }
    Ok(())
}

/// The rows that have something to say.
pub(crate) fn rows(outcome: &Outcome) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |what, much| rows.push(Row { what, much });
    let (measured, totals) = (&outcome.measured, &outcome.totals);
    let members = thousands(f64::from(outcome.plan.members()));
    row(
        "members",
        format!(
            "{members} in {} groups, {} workers",
            thousands(outcome.plan.groups.len() as f64),
            outcome.workers
        ),
    );
    row("measured", format!("{:.1} s, {}", outcome.measured_s(), outcome.ended_word().replace('_', " ")));
    if let Some(per_s) = outcome.joins_per_s() {
        row("joins", format!("{} in all, {}/s", thousands(measured.joins as f64), thousands(per_s)));
    }
    if let Some(bytes) = outcome.bytes_per_join() {
        row(
            "bytes received per join",
            format!("{}, {} in all", thousands(bytes), thousands(measured.bytes as f64)),
        );
    }
    if outcome.stormed() {
        row("all back from the storm", all_back(outcome));
        row("quiet group before", spread(&outcome.calm));
        row("quiet group meanwhile", spread(&outcome.meanwhile()));
    }
    if totals.sent > 0 && outcome.plan.talk.is_some() {
        row("messages sent", count_and_rate(outcome, measured.sent));
        row("deliveries", count_and_rate(outcome, measured.deliveries));
        row("latency", spread(&outcome.latency));
        row("sent late", spread(&outcome.late));
    }
    if totals.pages > 0 {
        row("pages of history", count_and_rate(outcome, measured.pages));
        row("time of a page", spread(&outcome.page));
        let items = measured.page_messages as f64 / measured.pages.max(1) as f64;
        row("messages of a page", format!("{items:.1}"));
    }
    if totals.leaves > 0 {
        row("left", thousands(totals.leaves as f64));
    }
    row("joining", spread(&outcome.join));
    let lost = outcome.lost.map_or("unknown".to_owned(), |lost| lost.to_string());
    row("lost, twice, reordered", format!("{lost}, {}, {}", totals.duplicated, totals.reordered));
    row("errors", listed(&totals.errors));
    row("closed by the server", listed(&totals.closes));
    if outcome.plan.slow_members() > 0 {
        let slow = thousands(f64::from(outcome.plan.slow_members()));
        row("of those who never read", format!("{slow}, of them closed: {}", listed(&totals.slow_closes)));
    }
    rows.extend(server_rows(outcome));
    rows
}

/// When all were back from a storm, in words.
pub(super) fn all_back(outcome: &Outcome) -> String {
    outcome.storm_s().map_or_else(|| "not all were back".to_owned(), |storm_s| format!("{storm_s:.2} s"))
}

fn processes(pids: &[u32]) -> String {
    let all: Vec<_> = pids.iter().map(u32::to_string).collect();
    format!("process{} {}", if all.len() > 1 { "es" } else { "" }, all.join(", "))
}

fn server_rows(outcome: &Outcome) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |what, much| rows.push(Row { what, much });
    let Some(server) = outcome.server_use() else {
        row("server", "not on this machine, or not to be seen: pass --pid to measure it".to_owned());
        return rows;
    };
    row("server", format!("{}, {:.0} % of a processor", processes(&server.pids), server.cpu_percent));
    if let Some(us) = server.cpu_us_per_delivery {
        row("server CPU per delivery", format!("{us:.2} µs"));
    }
    if let Some(us) = server.cpu_us_per_delivery_at_most {
        let others = match (outcome.measured.joins, outcome.measured.pages) {
            (joins, 0) => format!("{} joins", thousands(joins as f64)),
            (joins, pages) => {
                format!("{} joins and {} pages", thousands(joins as f64), thousands(pages as f64))
            }
        };
        row("server CPU per delivery", format!("at most {us:.2} µs: {others} are in it"));
    }
    if let Some(us) = server.cpu_us_per_join {
        row("server CPU per join", format!("{:.3} ms", us / 1e3));
    }
    if let Some(us) = server.cpu_us_per_connection {
        row("server CPU per connection", format!("{us:.2} µs/s"));
    }
    let memory = format!(
        "{} KiB, {} more than before",
        thousands(server.rss_kib as f64),
        thousands(server.rss_grown_kib as f64)
    );
    row("server memory", memory);
    if let Some(kib) = server.kib_per_connection {
        row("memory per connection", format!("{kib:.1} KiB, if the server was fresh"));
    }
    let own = outcome.generator_percent();
    let per_delivery = match outcome.measured.deliveries {
        0 => String::new(),
        _ if !outcome.only_delivers() => String::new(),
        deliveries => {
            format!(", {:.2} µs a delivery", outcome.generator_cpu_ns as f64 / 1e3 / deliveries as f64)
        }
    };
    row("this tool", format!("{own:.0} % of a processor{per_delivery}"));
    rows
}

fn count_and_rate(outcome: &Outcome, count: u64) -> String {
    format!("{}, {}/s", thousands(count as f64), thousands(outcome.per_s(count)))
}

fn spread(times: &Times) -> String {
    if times.is_empty() {
        return "none".to_owned();
    }
    let times = times.summary();
    let [p50, p99, p999, max] = [times.p50_us, times.p99_us, times.p999_us, times.max_us].map(milliseconds);
    format!("p50 {p50}, p99 {p99}, p99.9 {p999}, most {max}")
}

fn listed<K: std::fmt::Display>(counts: &std::collections::BTreeMap<K, u64>) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    let told = counts.iter().take(LISTED_MAX);
    let mut list: Vec<_> =
        told.map(|(code, count)| format!("{code} × {}", thousands(*count as f64))).collect();
    if counts.len() > LISTED_MAX {
        let others: u64 = counts.values().skip(LISTED_MAX).sum();
        list.push(format!("others × {}", thousands(others as f64)));
    }
    list.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_an_end() {
        assert_eq!(listed::<u16>(&[].into()), "none");
        assert_eq!(listed(&[(1000, 1), (4001, 2_000)].into()), "1000 × 1, 4001 × 2,000");
        let many = listed(&(0..1_000).map(|code| (code, 1)).collect());
        assert!(many.starts_with("0 × 1, 1 × 1, ") && many.ends_with(", others × 980"), "{many}");
    }
}
