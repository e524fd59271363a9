//! What is seen while a run goes on: one line that is written anew on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use rustix::termios::tcgetwinsize;

use crate::link::Phase;
use crate::outcome::Second;
use crate::provision::Made;

/// Writes to the standard error, so that the standard output has the table alone.
pub(crate) struct Progress {
    /// The line of a terminal.
    bar: Option<ProgressBar>,
    ticks: u64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let terminal = io::stderr().is_terminal();
        Self { bar: terminal.then(|| line_on(ProgressDrawTarget::stderr())), ticks: 0 }
    }

    /// A line that stays.
    pub(crate) fn say(&mut self, text: &str) {
        let write = || {
            let _ = writeln!(io::stderr(), "{text}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// How far provisioning is, ten times a second.
    pub(crate) fn made(&mut self, made: Made) {
        self.ticks += 1;
        if self.bar.is_some() || self.ticks.is_multiple_of(10) {
            self.now(format!("making groups and members: {} of {}", made.done, made.of));
        }
    }

    /// How far deleting is.
    pub(crate) fn forgotten(&mut self, made: Made) {
        self.ticks += 1;
        if self.bar.is_some() || self.ticks.is_multiple_of(10) {
            self.now(format!("deleting groups and users: {} of {}", made.done, made.of));
        }
    }

    /// How it goes, once a second.
    pub(crate) fn second(&mut self, second: &Second, began_ns: u64, members: u32, cut_short: bool) {
        let columns = if self.bar.is_some() { columns() } else { usize::MAX };
        self.now(told(second, began_ns, members, cut_short, columns));
    }

    fn now(&mut self, line: String) {
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None => {
                let _ = writeln!(io::stderr(), "{line}");
            }
        }
    }

    /// Takes the terminal's line away: what it said is in the table, which comes next.
    pub(crate) fn end(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// How wide the terminal is.
fn columns() -> usize {
    let told = tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_col));
    // Some terminals don't know.
    if told > 0 { told } else { 80 }
}

/// A second as a line. In one that was cut short, by the server's death or a signal, what was meant to go on has ended.
fn told(second: &Second, began_ns: u64, members: u32, cut_short: bool, columns: usize) -> String {
    let passed_s = (second.end_ns - began_ns) as f64 / 1e9;
    let rate = |count: u64| thousands(count as f64 / second.length_s().max(0.001));
    let doing = match second.phase {
        _ if cut_short => "ending    ".to_owned(),
        Phase::Join => format!("joining   {:>9} joins/s", rate(second.joins)),
        Phase::Fill | Phase::Wait => format!("filling   {:>9} messages/s", rate(second.sent)),
        Phase::Warmup => "warming up".to_owned(),
        Phase::Measure => "measuring ".to_owned(),
        Phase::Storm => format!("storm     {:>9} joins/s", rate(second.joins)),
        Phase::Drain => "hearing out".to_owned(),
    };
    let mut parts = vec![
        Part(Weight::Most, format!("{passed_s:6.1} s  {doing}")),
        Part(Weight::Connected, format!("{}/{members} connected", second.connected)),
    ];
    if second.deliveries > 0 {
        parts.extend([
            Part(Weight::Rates, format!("{:>9} deliveries/s", rate(second.deliveries))),
            Part(Weight::P50, format!("p50 {}", milliseconds(second.p50_us))),
            Part(Weight::P99, format!("p99 {}", milliseconds(second.p99_us))),
        ]);
    }
    if second.pages > 0 {
        parts.push(Part(Weight::Rates, format!("{} pages/s", rate(second.pages))));
    }
    let weight = if second.errors > 0 { Weight::Most } else { Weight::NoErrors };
    parts.push(Part(weight, format!("{} errors", second.errors)));
    fitting(parts, columns)
}

/// A part of a line, and how much it would be missed.
struct Part(Weight, String);

/// Where there is no room for all, the first of these are left out first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    NoErrors,
    P50,
    Connected,
    Rates,
    P99,
    Most,
}

/// As many parts as there is room for, and none of them half.
fn fitting(mut parts: Vec<Part>, columns: usize) -> String {
    loop {
        let line = parts.iter().map(|part| part.1.as_str()).collect::<Vec<_>>().join("  ");
        let least = (0..parts.len()).min_by_key(|&part| parts[part].0);
        match least.filter(|&part| parts[part].0 < Weight::Most && line.chars().count() > columns) {
            Some(part) => parts.remove(part),
            None => return line,
        };
    }
}

/// One line, cut to the terminal's width.
fn line_on(target: ProgressDrawTarget) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_msg}").expect("the template is right");
    ProgressBar::with_draw_target(None, target).with_style(style)
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
    use indicatif::TermLike;
    use std::sync::{Arc, Mutex};

    /// A terminal of 30 columns, and what is written to it.
    #[derive(Debug, Clone, Default)]
    struct Narrow(Arc<Mutex<String>>);

    impl TermLike for Narrow {
        fn width(&self) -> u16 {
            30
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(&(text.to_owned() + "\n"));
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_cut_to_the_width_of_its_terminal() {
        let terminal = Narrow::default();
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let mut progress = Progress { bar: Some(line_on(target)), ticks: 0 };
        progress.made(Made { done: 123_456_789, of: 123_456_789, held_back: 0 });
        let written = terminal.0.lock().unwrap();
        assert!(written.contains("making groups and"), "{written:?}");
        assert!(written.lines().all(|line| line.trim_end().chars().count() <= 30), "{written:?}");
    }

    #[test]
    fn what_was_cut_short_is_not_said_to_go_on() {
        let second = Second {
            begin_ns: 0,
            end_ns: 1_000_000_000,
            phase: Phase::Warmup,
            sent: 0,
            deliveries: 0,
            joins: 0,
            pages: 0,
            errors: 0,
            connected: 0,
            heard: 0,
            p50_us: 0,
            p99_us: 0,
            max_us: 0,
        };
        let told = |cut_short| told(&second, 0, 16, cut_short, usize::MAX);
        assert_eq!(told(false), "   1.0 s  warming up  0/16 connected  0 errors");
        assert_eq!(told(true), "   1.0 s  ending      0/16 connected  0 errors");
    }

    #[test]
    fn what_has_no_room_is_left_out_whole_and_the_p99_last() {
        let mut second = Second {
            begin_ns: 0,
            end_ns: 1_000_000_000,
            phase: Phase::Measure,
            sent: 500,
            deliveries: 50_000,
            joins: 0,
            pages: 0,
            errors: 0,
            connected: 1_000,
            heard: 50_000,
            p50_us: 640,
            p99_us: 1_880,
            max_us: 2_000,
        };
        let whole = "   1.0 s  measuring   1000/1000 connected     50,000 deliveries/s  p50 0.64 ms  p99 1.88 ms  0 errors";
        assert_eq!(told(&second, 0, 1_000, false, 102), whole);
        let of_80 = told(&second, 0, 1_000, false, 80);
        assert_eq!(of_80, "   1.0 s  measuring   1000/1000 connected     50,000 deliveries/s  p99 1.88 ms");
        assert_eq!(told(&second, 0, 1_000, false, 40), "   1.0 s  measuring   p99 1.88 ms");
        second.errors = 7;
        assert_eq!(told(&second, 0, 1_000, false, 50), "   1.0 s  measuring   p99 1.88 ms  7 errors");
        assert_eq!(
            told(&second, 0, 1_000, false, 1),
            "   1.0 s  measuring   7 errors",
            "the terminal cuts it"
        );
    }

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
