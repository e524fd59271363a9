//! The table, and the file that keeps it.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use crate::measure::{Delivered, Idled};
use crate::peers::Peer;

const BEGIN: &str = "<!-- written by bench/compare: don't edit between here -->";
const END: &str = "<!-- and here -->";

/// What all rounds gave.
#[derive(Default)]
pub(crate) struct Results {
    /// By load, round and peer.
    pub(crate) delivered: Vec<(&'static str, u32, Peer, Delivered)>,
    pub(crate) idled: Vec<(Peer, Idled)>,
    /// Who wasn't run, and what went wrong.
    pub(crate) troubles: Vec<String>,
}

impl Results {
    /// Deliveries, and then connections.
    pub(crate) fn table(&self, loads: &[&'static str]) -> String {
        let mut out = String::from(
            "| load | server | server CPU a delivery | × floor | p50 | p99 | deliveries/s | server's core | \
             generator's core | heard | lost | doubled |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for load in loads {
            for peer in Peer::ALL {
                self.delivered_row(load, peer, &mut out);
            }
        }
        out.push_str(
            "\n| server | idle, a connection | joins/s | server CPU a join |\n\
             |---|---|---|---|\n",
        );
        for peer in Peer::ALL {
            self.idled_row(peer, &mut out);
        }
        for trouble in &self.troubles {
            line(&mut out, format_args!("\n{trouble}"));
        }
        out
    }

    fn delivered_row(&self, load: &str, peer: Peer, out: &mut String) {
        let runs: Vec<_> =
            self.delivered.iter().filter(|(name, _, who, _)| *name == load && *who == peer).collect();
        let Some((_, _, _, _)) = runs.first() else { return };
        let of = |figure: fn(&Delivered) -> f64| median(runs.iter().map(|(_, _, _, run)| figure(run)));
        let sum = |figure: fn(&Delivered) -> u64| runs.iter().map(|(_, _, _, run)| figure(run)).sum();
        let multiples = runs.iter().filter_map(|(_, round, _, run)| {
            Some(run.cpu_us_per_delivery / self.floor(load, *round)?.cpu_us_per_delivery)
        });
        let multiple = median(multiples).map_or("–".to_owned(), |multiple| format!("{multiple:.2}"));
        let shown = |figure: Option<f64>, digits: usize| {
            figure.map_or("–".to_owned(), |figure| format!("{figure:.digits$}"))
        };
        let share = |figure: Option<f64>| shown(figure.map(|share| share * 100.0), 0);
        line(
            out,
            format_args!(
                "| {load} | {} | {} µs | {multiple} | {} ms | {} ms | {} | {} % | {} % | {} | {} | {} |",
                peer.title(),
                shown(of(|run| run.cpu_us_per_delivery), 2),
                shown(of(|run| run.p50_ms), 2),
                shown(of(|run| run.p99_ms), 2),
                thousands(&shown(of(|run| run.per_s), 0)),
                share(of(|run| run.server_busy)),
                share(of(|run| run.generator_busy)),
                count(sum(|run| run.heard)),
                count(sum(|run| run.lost)),
                count(sum(|run| run.doubled)),
            ),
        );
    }

    fn floor(&self, load: &str, round: u32) -> Option<&Delivered> {
        let is_floor = |(name, which, peer, _): &&(&str, u32, Peer, Delivered)| {
            *name == load && *which == round && *peer == Peer::Floor
        };
        self.delivered.iter().find(is_floor).map(|(_, _, _, run)| run)
    }

    fn idled_row(&self, peer: Peer, out: &mut String) {
        let of = |figure: fn(&Idled) -> f64| {
            median(self.idled.iter().filter(|(who, _)| *who == peer).map(|(_, run)| figure(run)))
        };
        let Some(kib) = of(|run| run.kib_per_connection) else { return };
        let joins = of(|run| run.joins_per_s).unwrap_or_default();
        let join = of(|run| run.cpu_ms_per_join).unwrap_or_default();
        let joins = thousands(&format!("{joins:.0}"));
        line(out, format_args!("| {} | {kib:.1} KiB | {joins} | {join:.3} ms |", peer.title()));
    }
}

/// Puts the text into the file where it was written last, or at its end.
pub(crate) fn keep(path: &Path, text: &str) -> io::Result<()> {
    let old = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => "# Results\n\n".to_owned(),
        read => read?,
    };
    fs::write(path, replaced(&old, text))
}

fn replaced(old: &str, text: &str) -> String {
    let new = format!("{BEGIN}\n\n{}\n\n{END}", text.trim_end());
    match (old.split_once(BEGIN), old.split_once(END)) {
        (Some((before, _)), Some((_, after))) => format!("{before}{new}{after}"),
        _ => format!("{old}{new}\n"),
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a String can't fail");
}

fn median(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

fn count(number: u64) -> String {
    thousands(&number.to_string())
}

/// Digits with commas between thousands.
fn thousands(digits: &str) -> String {
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_table_takes_the_place_of_the_old_and_of_nothing_else() {
        let first = replaced("# Results\n\nNotes.\n\n", "one\n");
        assert_eq!(first, format!("# Results\n\nNotes.\n\n{BEGIN}\n\none\n\n{END}\n"));
        let second = replaced(&(first + "\nMore notes.\n"), "two");
        assert_eq!(second, format!("# Results\n\nNotes.\n\n{BEGIN}\n\ntwo\n\n{END}\n\nMore notes.\n"));
    }

    #[test]
    fn multiples_are_of_the_floor_of_the_same_round() {
        let run = |cpu_us_per_delivery| Delivered {
            cpu_us_per_delivery,
            p50_ms: 1.0,
            p99_ms: 2.0,
            per_s: 1_234_567.0,
            server_busy: 1.0,
            generator_busy: 0.5,
            heard: 1_000,
            lost: 0,
            doubled: 0,
        };
        let mut results = Results::default();
        // The machine drifts: the third round takes ten times as long, of both.
        for (round, floor) in [(0, 1.0), (1, 2.0), (2, 10.0)] {
            results.delivered.push(("load", round, Peer::Floor, run(floor)));
            results.delivered.push(("load", round, Peer::Ws, run(floor * 1.5)));
        }
        let table = results.table(&["load"]);
        assert!(
            table.contains("| load | floor | 2.00 µs | 1.00 | 1.00 ms | 2.00 ms | 1,234,567 |"),
            "{table}"
        );
        assert!(table.contains("| load | Node `ws` relay | 3.00 µs | 1.50 |"), "{table}");
        assert!(table.contains("| 100 % | 50 % | 3,000 | 0 | 0 |"), "{table}");
    }
}
