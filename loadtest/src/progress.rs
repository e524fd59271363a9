//! What is seen while a run goes on: one line that is written anew on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal, Write};

use crate::link::Phase;
use crate::outcome::Second;
use crate::provision::Made;

/// Writes to the standard error, so that the standard output has the table alone.
pub(crate) struct Progress {
    terminal: bool,
    /// Something stands on the line that is written anew.
    open: bool,
    ticks: u64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), open: false, ticks: 0 }
    }

    /// A line that stays.
    pub(crate) fn say(&mut self, text: &str) {
        self.end();
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// How far provisioning is, ten times a second.
    pub(crate) fn made(&mut self, made: Made) {
        self.ticks += 1;
        if self.terminal || self.ticks.is_multiple_of(10) {
            self.now(&format!("making groups and members: {} of {}", made.done, made.of));
        }
    }

    /// How it goes, once a second.
    pub(crate) fn second(&mut self, second: &Second, began_ns: u64, members: u32) {
        let passed_s = (second.end_ns - began_ns) as f64 / 1e9;
        let rate = |count: u64| thousands(count as f64 / second.length_s().max(0.001));
        let doing = match second.phase {
            Phase::Join => format!("joining   {:>9} joins/s", rate(second.joins)),
            Phase::Fill | Phase::Wait => format!("filling   {:>9} messages/s", rate(second.sent)),
            Phase::Warmup => "warming up".to_owned(),
            Phase::Measure => "measuring ".to_owned(),
            Phase::Storm => format!("storm     {:>9} joins/s", rate(second.joins)),
            Phase::Drain => "hearing out".to_owned(),
        };
        let mut line = format!("{passed_s:6.1} s  {doing}  {}/{members} connected", second.connected);
        if second.deliveries > 0 {
            let (p50, p99) = (milliseconds(second.p50_us), milliseconds(second.p99_us));
            line += &format!("  {:>9} deliveries/s  p50 {p50}  p99 {p99}", rate(second.deliveries));
        }
        if second.pages > 0 {
            line += &format!("  {} pages/s", rate(second.pages));
        }
        line += &format!("  {} errors", second.errors);
        self.now(&line);
    }

    fn now(&mut self, line: &str) {
        let mut out = io::stderr().lock();
        let _ = if self.terminal { write!(out, "\r\x1b[2K{line}") } else { writeln!(out, "{line}") };
        let _ = out.flush();
        self.open = self.terminal;
    }

    /// Leaves the line as it stands.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            let _ = writeln!(io::stderr());
        }
    }
}

/// 12,345
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// 0.95 ms
pub(crate) fn milliseconds(us: u64) -> String {
    match us {
        0..10_000 => format!("{:.2} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{:.0} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"].map(str::to_owned),
            [0.0, 999.0, 1_000.0, 1_234_567.0].map(thousands)
        );
        assert_eq!(
            ["0.95 ms", "12 ms", "1.5 s"].map(str::to_owned),
            [950, 12_000, 1_500_000].map(milliseconds)
        );
    }
}
