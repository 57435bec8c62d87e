//! Prometheus' text, as it grows.

use crate::metrics::Times;
use std::fmt::Write;

/// Upper bounds of the buckets, in the units of a decade: from a microsecond to 70 s.
const STEPS: [u64; 6] = [10, 15, 20, 30, 50, 70];
const DECADES: u32 = 8;

/// The answer as it grows.
#[derive(Default)]
pub(super) struct Text {
    /// What was written.
    pub text: String,
    /// Lines of figures in it.
    pub lines: usize,
}

impl Text {
    /// What a figure is.
    pub fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// One figure.
    pub fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.lines += 1;
        self.text.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let text = escape(text);
            self.write(format_args!("{before}{label}=\"{text}\""));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        self.write(format_args!("{close} {value}\n"));
    }

    /// Times, by bucket.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], times: &Times) {
        let mut bounds = Vec::new();
        for decade in 0..DECADES {
            bounds.extend(STEPS.map(|step| step * 100 * 10u64.pow(decade)));
        }
        let bucket = format!("{name}_bucket");
        for (bound, count) in bounds.iter().zip(times.cumulative(&bounds)) {
            let le = (*bound as f64 / 1e9).to_string();
            self.line(&bucket, &[labels, &[("le", &le)]].concat(), count);
        }
        self.line(&bucket, &[labels, &[("le", "+Inf")]].concat(), times.count());
        self.line(&format!("{name}_sum"), labels, times.sum_ns() as f64 / 1e9);
        self.line(&format!("{name}_count"), labels, times.count());
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("writing to a String cannot fail");
    }
}

/// A label's value: `\`, `"` and line ends are escaped.
fn escape(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains(['\\', '"', '\n']) {
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").into()
    } else {
        text.into()
    }
}
