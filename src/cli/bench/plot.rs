//! Latency by percentile as SVG, written by hand: it needs no fonts, scripts or libraries.
//!
//! The horizontal axis is that of HdrHistogram's plots, logarithmic in the distance to 100 %: each
//! further nine takes as much room as the one before, since each is as hard to win. The vertical
//! one is logarithmic too, so that runs that differ by orders of magnitude can be read together.

use super::latency::show_us;
use super::results::{SERIES, label};
use serde_json::Value;
use std::fmt::Write as _;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 32.0;
const TOP: f64 = 58.0;
const HEIGHT: f64 = 380.0;
/// From the plot's lower edge to the first line of the legend.
const BELOW: f64 = 74.0;
const LEGEND_LINE: f64 = 22.0;
/// Longer names are cut: the figures stand to their right.
const NAME_CHARS: usize = 52;
/// Okabe and Ito's colours, which colour-blind people can tell apart, without the yellow.
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];

/// One line of the plot.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    name: String,
    /// Percentile and microseconds, ascending.
    points: Vec<(f64, f64)>,
    dashed: bool,
    colour: usize,
    summary: String,
}

/// Draws runs, as `--json` gives them.
pub fn svg(runs: &[Value]) -> String {
    draw(&lines(runs))
}

fn lines(runs: &[Value]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (colour, run) in runs.iter().enumerate() {
        let drawn: Vec<_> = SERIES.iter().filter(|(field, _)| run[*field].is_object()).collect();
        for (i, (field, what)) in drawn.iter().enumerate() {
            let h = &run[*field];
            let points: Vec<(f64, f64)> = h["distribution"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|p| Some((p[0].as_f64()?, p[1].as_f64()?)))
                .collect();
            if points.is_empty() {
                continue;
            }
            let incomplete = run["complete"] == Value::Bool(false);
            let end = format!("{}, {what}", if incomplete { " (incomplete)" } else { "" });
            let room = NAME_CHARS - end.chars().count();
            let label = label(run);
            let mut name: String = label.chars().take(room).collect();
            if name.len() < label.len() {
                name.pop();
                name.push('…');
            }
            name += &end;
            let at = |field: &str| h[field].as_f64().map_or("-".to_owned(), show_us);
            let summary = format!(
                "p50 {}   p99 {}   p99.9 {}   max {} µs",
                at("p50"),
                at("p99"),
                at("p99.9"),
                at("max")
            );
            lines.push(Line { name, points, dashed: i > 0, colour, summary });
        }
    }
    lines
}

/// How many nines a percentile has: 0 at 0 %, 1 at 90 %, 2 at 99 %.
fn nines(percentile: f64) -> f64 {
    -(1.0 - (percentile / 100.0).min(0.999_999_999)).log10()
}

/// `0 %`, `90 %`, `99 %`, `99.9 %`, … with as many nines.
fn percentile_name(nines: usize) -> String {
    match nines {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        n => format!("99.{} %", "9".repeat(n - 2)),
    }
}

/// `20 µs`, `5 ms`, `1 s`.
fn time_name(us: f64) -> String {
    let (value, unit) = match us {
        v if v >= 999_999.0 => (v / 1e6, "s"),
        v if v >= 999.0 => (v / 1e3, "ms"),
        v => (v, "µs"),
    };
    format!("{} {unit}", super::latency::group(value))
}

/// The axes' ranges, and where values lie in the picture.
struct Scale {
    nines: f64,
    low: f64,
    high: f64,
}

impl Scale {
    fn new(lines: &[Line]) -> Self {
        let inner = |l: &Line| {
            l.points.iter().filter(|p| p.0 < 100.0).map(|p| nines(p.0)).fold(0.0, f64::max)
        };
        // The maximum, at 100 %, has no place on this axis: it stands at its right end.
        let most = lines.iter().map(inner).fold(2.0, f64::max);
        let values = || lines.iter().flat_map(|l| &l.points).map(|p| p.1.max(0.1));
        let low = values().fold(f64::INFINITY, f64::min);
        let high = values().fold(1.0, f64::max);
        let (low, high) = if low.is_finite() { (low, high) } else { (1.0, 10.0) };
        Self { nines: (most + 0.15).max(2.2), low: below(low), high: above(high) }
    }

    fn x(&self, nines: f64) -> f64 {
        LEFT + (nines / self.nines).min(1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, us: f64) -> f64 {
        let part = (us.max(self.low) / self.low).log10() / (self.high / self.low).log10();
        TOP + HEIGHT * (1.0 - part.min(1.0))
    }

    /// 1, 2 and 5 of each power of ten, or only the powers where there are many.
    fn ticks(&self) -> Vec<f64> {
        let steps: &[f64] =
            if (self.high / self.low).log10() > 3.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let mut ticks = Vec::new();
        let mut decade = 10f64.powi(self.low.log10().floor() as i32);
        while decade <= self.high * 1.001 {
            ticks.extend(steps.iter().map(|s| s * decade));
            decade *= 10.0;
        }
        ticks.retain(|t| *t >= self.low * 0.999 && *t <= self.high * 1.001);
        ticks
    }
}

/// The next 1, 2 or 5 of a power of ten that is not above `v`.
fn below(v: f64) -> f64 {
    let decade = 10f64.powi(v.log10().floor() as i32);
    [5.0, 2.0, 1.0].iter().map(|s| s * decade).find(|t| *t <= v * 1.000_001).unwrap_or(decade)
}

/// The next 1, 2 or 5 of a power of ten above `v`.
fn above(v: f64) -> f64 {
    let decade = 10f64.powi(v.log10().floor() as i32);
    [2.0, 5.0, 10.0].iter().map(|s| s * decade).find(|t| *t > v).unwrap_or(decade * 10.0)
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn draw(lines: &[Line]) -> String {
    let scale = Scale::new(lines);
    let (right, bottom) = (WIDTH - RIGHT, TOP + HEIGHT);
    let height = bottom + BELOW + LEGEND_LINE * lines.len() as f64;
    let mut o = String::new();
    let _ = write!(
        o,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" \
         font-size=\"13\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"32\" font-size=\"18\" font-weight=\"bold\">Latency by percentile</text>\n"
    );
    grid(&mut o, &scale);
    for line in lines {
        let colour = COLOURS[line.colour % COLOURS.len()];
        let dash = if line.dashed { " stroke-dasharray=\"7 4\"" } else { "" };
        let mut points = String::new();
        for (percentile, us) in &line.points {
            let x = if *percentile >= 100.0 { right } else { scale.x(nines(*percentile)) };
            let _ = write!(points, "{x:.1},{:.1} ", scale.y(*us));
        }
        let _ = writeln!(
            o,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-linejoin=\"round\"{dash} points=\"{}\"/>",
            points.trim_end()
        );
        if let Some((_, us)) = line.points.last() {
            let y = scale.y(*us);
            let _ =
                writeln!(o, "<circle cx=\"{right}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>");
        }
    }
    for (i, line) in lines.iter().enumerate() {
        let colour = COLOURS[line.colour % COLOURS.len()];
        let dash = if line.dashed { " stroke-dasharray=\"7 4\"" } else { "" };
        let y = bottom + BELOW + LEGEND_LINE * i as f64;
        let _ = writeln!(
            o,
            "<line x1=\"{LEFT}\" y1=\"{0:.1}\" x2=\"{1}\" y2=\"{0:.1}\" stroke=\"{colour}\" \
             stroke-width=\"3\"{dash}/>\n<text x=\"{2}\" y=\"{y:.1}\">{3}</text>\n\
             <text x=\"{right}\" y=\"{y:.1}\" text-anchor=\"end\" fill=\"#555\" \
             xml:space=\"preserve\">{4}</text>",
            y - 4.5,
            LEFT + 30.0,
            LEFT + 40.0,
            escape(&line.name),
            escape(&line.summary),
        );
    }
    o.push_str("</svg>\n");
    o
}

fn grid(o: &mut String, scale: &Scale) {
    let (right, bottom) = (WIDTH - RIGHT, TOP + HEIGHT);
    for us in scale.ticks() {
        let y = scale.y(us);
        let _ = writeln!(
            o,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#e3e3e3\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 9.0,
            y + 4.5,
            time_name(us)
        );
    }
    let whole = (0..=scale.nines as usize).map(|n| (n as f64, percentile_name(n)));
    for (at, name) in whole.chain([(nines(50.0), "50 %".to_owned())]) {
        let x = scale.x(at);
        let _ = writeln!(
            o,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#e3e3e3\"/>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 21.0,
            name
        );
    }
    let (middle_x, middle_y) = (LEFT.midpoint(right), TOP + HEIGHT / 2.0);
    let _ = writeln!(
        o,
        "<rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{}\" height=\"{HEIGHT}\" fill=\"none\" \
         stroke=\"#888\"/>\n\
         <text x=\"{middle_x}\" y=\"{}\" text-anchor=\"middle\">Percentile: this share of requests \
         took at most so long (the dot is the maximum)</text>\n\
         <text transform=\"translate(22 {middle_y}) rotate(-90)\" \
         text-anchor=\"middle\">Latency</text>",
        right - LEFT,
        bottom + 43.0
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(label: &str, factor: f64) -> Value {
        let points: Vec<_> = (0..60)
            .map(|i| {
                let p = 100.0 * (1.0 - 10f64.powf(-f64::from(i) / 12.0));
                (p, factor * (100.0 + f64::from(i * i)))
            })
            .chain([(100.0, factor * 9000.0)])
            .collect();
        json!({
            "label": label,
            "ack_us": { "p50": 100.0 * factor, "max": 9000.0 * factor, "distribution": points },
        })
    }

    #[test]
    fn points_lie_inside_and_rise() {
        let lines = lines(&[run("a", 1.0), run("b", 30.0)]);
        assert_eq!(lines.len(), 2);
        let scale = Scale::new(&lines);
        for line in &lines {
            let mut last = (0.0, f64::INFINITY);
            for (p, us) in &line.points {
                let (x, y) = (scale.x(nines(*p)), scale.y(*us));
                assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{p}: {x}");
                assert!((TOP..=TOP + HEIGHT).contains(&y), "{us}: {y}");
                assert!(x >= last.0 && y <= last.1, "to the right and up");
                last = (x, y);
            }
        }
        let ticks = scale.ticks();
        assert!((3..=12).contains(&ticks.len()), "{ticks:?}");
    }

    #[test]
    fn names_are_escaped_and_axes_are_named() {
        let text = svg(&[run("<a & \"b\">", 1.0), run(&"x".repeat(200), 2.0)]);
        assert!(text.contains("&lt;a &amp; &quot;b&quot;&gt;, acknowledged"), "{text}");
        let long = NAME_CHARS - ", acknowledged".len();
        assert!(text.contains(&format!(">{}…, acknowledged<", "x".repeat(long - 1))), "{text}");
        for name in ["90 %", "99.9 %", "Percentile", "Latency", "100 µs", "p50 100"] {
            assert!(text.contains(name), "{name}");
        }
        assert_eq!(text.matches("<polyline").count(), 2);
        // Nothing to draw is drawn as nothing.
        assert_eq!(svg(&[json!({})]).matches("<polyline").count(), 0);
    }

    #[test]
    fn times_have_units() {
        assert_eq!(time_name(20.0), "20 µs");
        assert_eq!(time_name(1000.0), "1 ms");
        assert_eq!(time_name(2e6), "2 s");
        assert_eq!((below(23.0), above(23.0), above(50.0)), (20.0, 50.0, 100.0));
        assert_eq!(percentile_name(4), "99.99 %");
    }
}
