//! A figure is what several rounds gave.

use std::fmt;

/// One line of the table.
pub(crate) struct Figure {
    what: &'static str,
    goal: &'static str,
    unit: &'static str,
    rounds: Vec<f64>,
}

impl Figure {
    pub(crate) fn new(
        what: &'static str,
        goal: &'static str,
        unit: &'static str,
        mut rounds: Vec<f64>,
    ) -> Self {
        rounds.sort_by(f64::total_cmp);
        Self { what, goal, unit, rounds }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(least), Some(most)) = (self.rounds.first(), self.rounds.last()) else { return Ok(()) };
        let median = self.rounds[self.rounds.len() / 2];
        let unit = self.unit;
        write!(
            f,
            "| {} | {} | {} {unit} | {} – {} |",
            self.what,
            self.goal,
            short(median),
            short(*least),
            short(*most)
        )
    }
}

/// Whole numbers with thousands apart, small ones with three digits.
fn short(number: f64) -> String {
    if number < 100.0 {
        return format!("{number:.3}");
    }
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
