//! The page with plots: one file, which asks nothing of any network.

use std::fmt::Write;

use super::plot::{Across, Line, Plot};
use super::{Heading, table};
use crate::histogram::Times;
use crate::link::Phase;
use crate::outcome::{Outcome, Second};
use crate::progress::{milliseconds, thousands};

const STYLE: &str = include_str!("page.css");

/// The report as a page.
pub(crate) fn page(heading: &Heading, outcome: &Outcome) -> String {
    let title = format!("Load test: {}", heading.scenario);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n<p class=\"lead\">{}. {}.</p>\n",
        escaped(heading.about),
        date(heading.began_unix_s)
    );
    page += &verdict(outcome);
    page += &big_figures(outcome);
    for plot in plots(outcome) {
        page += &plot.figure();
    }
    page += "<h2>In figures</h2>\n<table>\n";
    for row in table::rows(outcome) {
        put_row(&mut page, row.what, &row.much);
    }
    page += "</table>\n<h2>Settings</h2>\n<table>\n";
    for (name, value) in &heading.settings {
        put_row(&mut page, name, value);
    }
    page + "</table>\n</html>\n"
}

fn verdict(outcome: &Outcome) -> String {
    let mut verdict = String::new();
    let faults = outcome.faults();
    if faults.is_empty() && outcome.lost == Some(0) {
        verdict += "<p class=\"fine\">Nothing lost, nothing twice, nothing out of order.</p>\n";
    }
    for (class, texts) in [("fault", faults), ("hint", outcome.hints())] {
        for text in texts {
            writeln!(verdict, "<p class=\"{class}\">{}</p>", escaped(&text))
                .expect("writing to a String can't fail");
        }
    }
    verdict
}

fn big_figures(outcome: &Outcome) -> String {
    let mut figures = Vec::new();
    let latency = outcome.latency.summary();
    if let Some(per_s) = outcome.joins_per_s() {
        figures.push(("joins a second", thousands(per_s)));
        figures.push(("p99 of a join", p99(&outcome.join)));
    }
    if let Some(bytes) = outcome.bytes_per_join() {
        figures.push(("bytes received per join", thousands(bytes)));
    }
    if outcome.stormed() {
        figures.push(("until all were back", table::all_back(outcome)));
        figures.push(("quiet group's p99 meanwhile", p99(&outcome.meanwhile())));
    }
    if outcome.measured.deliveries > 0 && latency.count > 0 {
        figures.push(("deliveries a second", thousands(outcome.per_s(outcome.measured.deliveries))));
        figures.push(("p50", milliseconds(latency.p50_us)));
        figures.push(("p99", milliseconds(latency.p99_us)));
    }
    if outcome.measured.pages > 0 {
        figures.push(("pages a second", thousands(outcome.per_s(outcome.measured.pages))));
        figures.push(("p99 of a page", p99(&outcome.page)));
    }
    if let Some(server) = outcome.server_use() {
        let per_delivery = server.cpu_us_per_delivery.map(|us| ("CPU per delivery", format!("{us:.2} µs")));
        let per_connection =
            server.kib_per_connection.map(|kib| ("memory per connection", format!("{kib:.1} KiB")));
        figures.extend(per_delivery.into_iter().chain(per_connection));
    }
    let cards: String =
        figures.iter().map(|(what, much)| format!("<div><dt>{what}</dt><dd>{much}</dd></div>")).collect();
    format!("<dl class=\"big\">{cards}</dl>\n")
}

/// Of no time at all there is none.
fn p99(times: &Times) -> String {
    if times.is_empty() { "none".to_owned() } else { milliseconds(times.summary().p99_us) }
}

fn plots(outcome: &Outcome) -> Vec<Plot<'_>> {
    vec![
        latency_over_time(outcome),
        distribution(outcome),
        throughput(outcome),
        cpu(outcome),
        memory(outcome),
    ]
}

fn latency_over_time(outcome: &Outcome) -> Plot<'_> {
    let line = |name, of: fn(&Second) -> u64| Line {
        name,
        points: full_seconds(outcome)
            .filter(|second| second.deliveries > 0)
            .map(|second| (passed_s(outcome, second.end_ns), of(second) as f64 / 1e3))
            .collect(),
    };
    Plot {
        title: "Latency over time",
        about:
            "From when a message was due until it was heard, of each second. The axis counts powers of ten."
                .to_owned(),
        lines: vec![
            line("p50", |second| second.p50_us),
            line("p99", |second| second.p99_us),
            line("max", |second| second.max_us),
        ],
        unit: "ms",
        across: Across::Seconds,
        marks: marks(outcome),
        logarithmic: true,
    }
}

fn distribution(outcome: &Outcome) -> Plot<'_> {
    let line = |name, times: &Times| Line {
        name,
        points: if times.is_empty() {
            Vec::new()
        } else {
            times.distribution().into_iter().map(|(percentile, us)| (percentile, us as f64 / 1e3)).collect()
        },
    };
    let lines =
        [line("messages", &outcome.latency), line("joins", &outcome.join), line("pages", &outcome.page)];
    Plot {
        title: "Distribution",
        about: "How many of a hundred took at most so long; each step to the right is a nine more."
            .to_owned(),
        lines: lines.into_iter().filter(|line| !line.points.is_empty()).collect(),
        unit: "ms",
        across: Across::Nines,
        marks: Vec::new(),
        logarithmic: true,
    }
}

fn throughput(outcome: &Outcome) -> Plot<'_> {
    let line = |name, of: fn(&Second) -> u64| Line {
        name,
        points: full_seconds(outcome)
            .map(|second| (passed_s(outcome, second.end_ns), of(second) as f64 / second.length_s()))
            .collect(),
    };
    let lines = [
        line("deliveries", |second| second.deliveries),
        line("joins", |second| second.joins),
        line("pages", |second| second.pages),
    ];
    Plot {
        title: "Throughput",
        about: "What happened in each second.".to_owned(),
        lines: lines.into_iter().filter(|line| line.points.iter().any(|point| point.1 > 0.0)).collect(),
        unit: "/s",
        across: Across::Seconds,
        marks: marks(outcome),
        logarithmic: false,
    }
}

fn cpu(outcome: &Outcome) -> Plot<'_> {
    let points = outcome.server.iter().flat_map(|server| {
        full_seconds(outcome).map(|second| {
            let percent = server.cpu_us(second.begin_ns, second.end_ns) / second.length_s() / 1e4;
            (passed_s(outcome, second.end_ns), percent)
        })
    });
    Plot {
        title: "The server's processor time",
        about: "In percent of one processor.".to_owned(),
        lines: vec![Line { name: "server", points: points.collect() }],
        unit: "%",
        across: Across::Seconds,
        marks: marks(outcome),
        logarithmic: false,
    }
}

fn memory(outcome: &Outcome) -> Plot<'_> {
    let points = outcome.server.iter().flat_map(|server| {
        full_seconds(outcome)
            .map(|second| (passed_s(outcome, second.end_ns), server.rss_kib(second.end_ns) as f64 / 1024.0))
    });
    Plot {
        title: "The server's memory",
        about: "What is resident.".to_owned(),
        lines: vec![Line { name: "server", points: points.filter(|point| point.1 > 0.0).collect() }],
        unit: "MiB",
        across: Across::Seconds,
        marks: marks(outcome),
        logarithmic: false,
    }
}

/// Without the short ones where a phase ends, of which a rate says little.
fn full_seconds(outcome: &Outcome) -> impl Iterator<Item = &Second> {
    let longest_s = outcome.seconds.iter().map(Second::length_s).fold(0.0, f64::max);
    outcome.seconds.iter().filter(move |second| second.length_s() >= longest_s.min(1.0) * 0.3)
}

fn passed_s(outcome: &Outcome, at_ns: u64) -> f64 {
    at_ns.saturating_sub(outcome.began_ns) as f64 / 1e9
}

/// What isn't measured, and the storm.
fn marks(outcome: &Outcome) -> Vec<(f64, f64, &'static str)> {
    let mark = |second: &Second| {
        let what = match second.phase {
            Phase::Measure => return None,
            Phase::Join => "joining",
            Phase::Fill | Phase::Wait => "filling",
            Phase::Warmup => "warm-up",
            Phase::Storm => "storm",
            Phase::Drain => "hearing out",
        };
        Some((passed_s(outcome, second.begin_ns), passed_s(outcome, second.end_ns), what))
    };
    outcome.seconds.iter().filter_map(mark).collect()
}

fn put_row(page: &mut String, what: &str, much: &str) {
    writeln!(page, "<tr><th>{}</th><td>{}</td></tr>", escaped(what), escaped(much))
        .expect("writing to a String can't fail");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A day and time in UTC, by the civil calendar of H. Hinnant's "chrono-compatible low-level date algorithms".
fn date(unix_s: u64) -> String {
    let (days, of_day) = (unix_s / 86_400 + 719_468, unix_s % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", of_day / 3_600, of_day / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Tick;
    use crate::plan::Plan;

    #[test]
    fn days_are_right() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_795_380_078), "2026-11-22 20:41 UTC");
    }

    #[test]
    fn a_storm_in_which_nothing_was_heard_has_no_latency() {
        let mut outcome = Outcome::new(Plan::default(), 1, None);
        (outcome.storm_ns, outcome.returned_ns) = (Some(1), Some(1_000_000_001));
        outcome.measured_ns = Some((0, 2_000_000_000));
        let figures = big_figures(&outcome);
        assert!(figures.contains("1.00 s") && figures.contains("meanwhile</dt><dd>none<"), "{figures}");
    }

    #[test]
    fn of_a_storm_from_which_not_all_were_back_it_is_told_what_others_suffered() {
        let mut outcome = Outcome::new(Plan::default(), 1, None);
        (outcome.storm_ns, outcome.measured_ns) = (Some(1), Some((0, 1_000_000_001)));
        // The second was due after the run was cut short.
        let storm = vec![(50, 70_000, 1), (100, 90_000, 1)];
        outcome.add(Tick { end_ns: 2, phase: Phase::Storm, storm, ..Tick::default() });
        let figures = big_figures(&outcome);
        assert!(figures.contains("not all were back") && figures.contains("<dd>70 ms<"), "{figures}");
        outcome.measured_ns = Some((0, 1));
        assert!(!big_figures(&outcome).contains("were back"), "there was none");
    }

    #[test]
    fn a_page_of_nothing_is_a_page_and_asks_nothing_of_a_network() {
        let settings = [("url", "http://<script>".to_owned())].into();
        let heading = Heading { scenario: "fanout", about: "a & b", settings, began_unix_s: 0 };
        let page = page(&heading, &Outcome::new(Plan::default(), 1, None));
        assert!(page.contains("a &amp; b") && !page.contains("<script"));
        assert!(!page.contains(" src=") && !page.contains("@import") && !page.contains("url("));
    }
}
