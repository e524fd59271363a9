//! Line plots as SVG, drawn by hand: two axes, some lines, a legend. Colours are the page's.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;

/// A plot.
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    /// What is told about it to who can't see it, and below it.
    pub(crate) about: String,
    pub(crate) lines: Vec<Line<'a>>,
    /// How a value of the vertical axis is written.
    pub(crate) unit: &'a str,
    pub(crate) across: Across,
    /// Stretches to mark, such as a warm-up: from, to, what.
    pub(crate) marks: Vec<(f64, f64, &'a str)>,
    /// The vertical axis counts powers of ten.
    pub(crate) logarithmic: bool,
}

/// A line of a plot.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) points: Vec<(f64, f64)>,
}

/// What the horizontal axis is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Across {
    Seconds,
    /// Percentiles, where 90, 99, 99.9 … are equally far apart.
    Nines,
}

impl Plot<'_> {
    /// The plot with its title, or nothing when there is nothing to show.
    pub(crate) fn figure(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let (mut most_x, mut most_y) = (0.0_f64, 0.0_f64);
        for &(x, y) in points() {
            most_x = most_x.max(self.place_x(x));
            most_y = most_y.max(y);
        }
        if points().next().is_none() || most_x <= 0.0 || most_y <= 0.0 {
            return String::new();
        }
        let scale = Scale::new(self, most_x, most_y);
        let mut svg = format!(
            "<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            self.title,
            self.about.replace('"', "")
        );
        self.draw_marks(&scale, &mut svg);
        self.draw_grid(&scale, &mut svg);
        for (colour, line) in self.lines.iter().enumerate() {
            draw_line(self, line, colour, &scale, &mut svg);
        }
        self.draw_legend(&mut svg);
        svg + "</svg><p class=\"about\">" + &self.about + "</p></figure>\n"
    }

    fn place_x(&self, x: f64) -> f64 {
        match self.across {
            Across::Seconds => x,
            Across::Nines => -(1.0 - x / 100.0).max(1e-9).log10(),
        }
    }

    fn draw_marks(&self, scale: &Scale, svg: &mut String) {
        for (from, to, what) in &self.marks {
            let (left, right) = (scale.x(*from), scale.x(*to));
            put(
                svg,
                format_args!(
                    "<rect class=\"mark\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"><title>{what}</title></rect>",
                    (right - left).max(1.0),
                    HEIGHT - TOP - BOTTOM
                ),
            );
        }
    }

    fn draw_grid(&self, scale: &Scale, svg: &mut String) {
        for value in scale.steps_y() {
            let y = scale.y(value);
            put(svg, format_args!("<path class=\"grid\" d=\"M{LEFT} {y:.1}H{}\"/>", WIDTH - RIGHT));
            put(
                svg,
                format_args!(
                    "<text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                    LEFT - 6.0,
                    y + 4.0,
                    self.value(value)
                ),
            );
        }
        for (place, name) in self.steps_x(scale.most_x) {
            let x = scale.x(place);
            put(
                svg,
                format_args!(
                    "<text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>",
                    HEIGHT - 8.0
                ),
            );
        }
    }

    fn steps_x(&self, most: f64) -> Vec<(f64, String)> {
        match self.across {
            Across::Seconds => steps(most, 8.0).map(|second| (second, format!("{second} s"))).collect(),
            Across::Nines => ["0", "90", "99", "99.9", "99.99", "99.999", "99.9999"]
                .into_iter()
                .zip(0_u32..)
                .map(|(name, place)| (f64::from(place), format!("{name} %")))
                .take_while(|(place, _)| *place <= most)
                .collect(),
        }
    }

    fn value(&self, value: f64) -> String {
        let number = match value {
            value if value >= 1e6 => format!("{}M", rounded(value / 1e6)),
            value if value >= 1e4 => format!("{}k", rounded(value / 1e3)),
            value => rounded(value),
        };
        format!("{number} {}", self.unit)
    }

    fn draw_legend(&self, svg: &mut String) {
        let mut x = LEFT + 10.0;
        for (colour, line) in self.lines.iter().enumerate() {
            put(
                svg,
                format_args!(
                    "<rect class=\"f{colour}\" x=\"{x:.0}\" y=\"{TOP}\" width=\"10\" height=\"10\" rx=\"2\"/>"
                ),
            );
            put(
                svg,
                format_args!(
                    "<text class=\"name\" x=\"{:.0}\" y=\"{}\">{}</text>",
                    x + 14.0,
                    TOP + 9.0,
                    line.name
                ),
            );
            x += 34.0 + 7.0 * line.name.chars().count() as f64;
        }
    }
}

fn draw_line(plot: &Plot<'_>, line: &Line<'_>, colour: usize, scale: &Scale, svg: &mut String) {
    put(svg, format_args!("<polyline class=\"l{colour}\" points=\""));
    for &(x, y) in &line.points {
        put(svg, format_args!("{:.1},{:.1} ", scale.x(plot.place_x(x)), scale.y(y)));
    }
    svg.push_str("\"/>");
    if line.points.len() <= 120 {
        for &(x, y) in &line.points {
            put(
                svg,
                format_args!(
                    "<circle class=\"f{colour}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2\"><title>{}: {}</title></circle>",
                    scale.x(plot.place_x(x)),
                    scale.y(y),
                    line.name,
                    plot.value(y)
                ),
            );
        }
    }
}

/// Where values are on the picture.
struct Scale {
    most_x: f64,
    least_y: f64,
    most_y: f64,
    logarithmic: bool,
}

impl Scale {
    fn new(plot: &Plot<'_>, most_x: f64, most_y: f64) -> Self {
        let values = plot.lines.iter().flat_map(|line| &line.points).map(|point| point.1);
        let least = values.filter(|&value| value > 0.0).fold(most_y, f64::min);
        let least_y = if plot.logarithmic { 10_f64.powf(least.log10().floor()) } else { 0.0 };
        let most_y =
            if plot.logarithmic { 10_f64.powf((most_y * 1.05).log10().ceil()) } else { most_y * 1.15 };
        Self { most_x, least_y, most_y, logarithmic: plot.logarithmic }
    }

    fn x(&self, place: f64) -> f64 {
        LEFT + place.clamp(0.0, self.most_x) / self.most_x * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let part = if self.logarithmic {
            (value.max(self.least_y) / self.least_y).log10() / (self.most_y / self.least_y).log10()
        } else {
            value / self.most_y
        };
        HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
    }

    fn steps_y(&self) -> Vec<f64> {
        if !self.logarithmic {
            return steps(self.most_y, 5.0).collect();
        }
        let powers = std::iter::successors(Some(self.least_y), |value| Some(value * 10.0));
        powers.take_while(|value| *value <= self.most_y * 1.01).collect()
    }
}

/// About so many round steps from 0 on.
fn steps(most: f64, count: f64) -> impl Iterator<Item = f64> {
    let rough = most / count;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    (0_u32..)
        .map(move |number| f64::from(number) * step)
        .take_while(move |value| *value <= most)
        // 3 × 0.1 isn't 0.3.
        .map(|value| (value * 1e6).round() / 1e6)
}

fn rounded(value: f64) -> String {
    let text = match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text).expect("writing to a String can't fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: Vec<(f64, f64)>, logarithmic: bool) -> String {
        let lines = vec![Line { name: "p50", points }];
        let across = Across::Seconds;
        Plot {
            title: "t",
            about: "a".to_owned(),
            lines,
            unit: "ms",
            across,
            marks: vec![(0.0, 1.0, "warm-up")],
            logarithmic,
        }
        .figure()
    }

    #[test]
    fn a_plot_has_its_line_inside_its_frame() {
        for logarithmic in [false, true] {
            let svg = plot(vec![(1.0, 0.5), (2.0, 100.0)], logarithmic);
            assert!(svg.contains("<polyline") && svg.contains("2 s") && !svg.contains("NaN"), "{svg}");
        }
    }

    #[test]
    fn nothing_to_show_is_no_plot() {
        assert_eq!(plot(vec![], false), "");
        assert_eq!(plot(vec![(1.0, 0.0)], true), "");
    }

    #[test]
    fn steps_are_round() {
        assert_eq!(steps(7.0, 5.0).collect::<Vec<_>>(), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(steps(0.35, 5.0).collect::<Vec<_>>(), [0.0, 0.1, 0.2, 0.3]);
    }
}
