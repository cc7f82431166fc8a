//! What came of a simulation as a picture: of each policy, how many jobs were done within which time. SVG, or a page of
//! HTML with the table below it; neither runs anything or asks for anything.

use std::fmt::Write as _;
use std::path::Path;

use crate::error::{CliError, CliResult, cause};
use crate::output::Table;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
/// Left, top, right and bottom of what is drawn into.
const BOX: (f64, f64, f64, f64) = (60.0, 50.0, 700.0, 370.0);
/// Points of a curve at most.
const POINTS: usize = 400;
const COLOURS: [&str; 9] = [
    "#1b6ca8", "#b3541e", "#3a7d44", "#8b3a8f", "#b08900", "#00808a", "#a02c46", "#5a5a5a", "#4b4bc8",
];
/// Times that an axis may be marked at, in milliseconds, and how they are written.
const MARKS: [(u64, &str); 14] = [
    (1, "1 ms"),
    (10, "10 ms"),
    (100, "100 ms"),
    (1_000, "1 s"),
    (10_000, "10 s"),
    (60_000, "1 min"),
    (600_000, "10 min"),
    (3_600_000, "1 h"),
    (6 * 3_600_000, "6 h"),
    (86_400_000, "1 d"),
    (4 * 86_400_000, "4 d"),
    (14 * 86_400_000, "14 d"),
    (60 * 86_400_000, "60 d"),
    (365 * 86_400_000, "365 d"),
];
/// Marks that would stand closer than that to the one before are left out.
const APART: f64 = 44.0;

/// How long the jobs of one policy took, in milliseconds, ascending.
pub struct Curve<'a> {
    /// The policy.
    pub name: &'a str,
    /// Of every job that ended.
    pub took_ms: &'a [u64],
}

/// Whether a plot can be written there; asked before anything is simulated.
pub fn check(file: Option<&Path>) -> CliResult {
    match file.map(ending) {
        None | Some(Some("svg" | "html")) => Ok(()),
        Some(_) => Err(CliError::input(format!(
            "--plot: '{}' ends neither in .svg nor in .html",
            file.unwrap_or_else(|| Path::new("")).display()
        ))
        .hint("the ending says which of the two it becomes")),
    }
}

/// Writes the plot.
pub fn write(file: &Path, title: &str, curves: &[Curve<'_>], table: &Table) -> CliResult {
    let drawn = svg(title, curves);
    let text = match ending(file) {
        Some("html") => page(title, &drawn, table),
        _ => drawn,
    };
    std::fs::write(file, text)
        .map_err(|error| CliError::input(format!("cannot write {}: {}", file.display(), cause(&error))))
}

fn ending(file: &Path) -> Option<&str> {
    file.extension().and_then(|ending| ending.to_str())
}

fn svg(title: &str, curves: &[Curve<'_>]) -> String {
    let all = || curves.iter().flat_map(|curve| curve.took_ms.iter().copied());
    let axis = Axis::of(all().min().unwrap_or(1), all().max().unwrap_or(1));
    let (left, top, right, bottom) = BOX;
    let mut drawn = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<title>{title}</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{left}\" y=\"24\" font-size=\"15\">{title}</text>\n",
        title = escaped(title),
    );
    for percent in [0.0, 25.0, 50.0, 75.0, 100.0] {
        let y = bottom - (bottom - top) * percent / 100.0;
        let _ = writeln!(
            drawn,
            "<path d=\"M{left} {y}H{right}\" stroke=\"#dddddd\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{percent} %</text>",
            left - 6.0,
            y + 4.0
        );
    }
    let mut taken = f64::NEG_INFINITY;
    for (mark, label) in MARKS.into_iter().filter(|(mark, _)| axis.holds(*mark)) {
        let x = axis.x(mark);
        if x - taken < APART {
            continue;
        }
        taken = x;
        let _ = writeln!(
            drawn,
            "<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#eeeeee\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            bottom + 18.0,
        );
    }
    let _ = writeln!(
        drawn,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">from arrival to end</text>",
        f64::midpoint(left, right),
        bottom + 38.0
    );
    for (at, curve) in curves.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let y = top + 18.0 * float(at) + 6.0;
        let _ = writeln!(
            drawn,
            "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"/>\n<path d=\"M{} {y}h18\" stroke=\"{colour}\" \
             stroke-width=\"3\"/><text x=\"{}\" y=\"{}\">{}</text>",
            line(curve.took_ms, &axis),
            right + 16.0,
            right + 40.0,
            y + 4.0,
            escaped(curve.name)
        );
    }
    drawn.push_str("</svg>\n");
    drawn
}

/// Steps upward: after each time, the share of jobs that took no longer.
fn line(took_ms: &[u64], axis: &Axis) -> String {
    let (left, top, _, bottom) = BOX;
    let mut path = format!("M{left} {bottom}");
    let every = took_ms.len().div_ceil(POINTS).max(1);
    for (at, took) in took_ms.iter().enumerate() {
        let done = at + 1;
        if done.is_multiple_of(every) || done == took_ms.len() {
            let y = bottom - (bottom - top) * float(done) / float(took_ms.len());
            let _ = write!(path, "H{:.1}V{y:.1}", axis.x(*took));
        }
    }
    path
}

/// Times from the least to the most, by their logarithms.
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    fn of(least_ms: u64, most_ms: u64) -> Self {
        let log = |ms: u64| float(usize::try_from(ms.max(1)).unwrap_or(usize::MAX)).log10();
        let (from, to) = (log(least_ms), log(most_ms));
        // Where all take as long there is still a middle.
        let room = ((to - from) * 0.03).max(0.05);
        Self {
            from: from - room,
            to: to + room,
        }
    }

    fn share(&self, ms: u64) -> f64 {
        let log = float(usize::try_from(ms.max(1)).unwrap_or(usize::MAX)).log10();
        (log - self.from) / (self.to - self.from)
    }

    fn x(&self, ms: u64) -> f64 {
        let (left, _, right, _) = BOX;
        left + (right - left) * self.share(ms)
    }

    fn holds(&self, ms: u64) -> bool {
        (0.0..=1.0).contains(&self.share(ms))
    }
}

fn page(title: &str, drawn: &str, table: &Table) -> String {
    let (title, table) = (escaped(title), escaped(&table.render()));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<style>body{{max-width:60rem;\
         margin:2rem auto;padding:0 1rem}}svg{{width:100%}}pre{{overflow:auto}}</style>\n{drawn}<pre>{table}</pre>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
const fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_up_to_all_of_the_jobs() {
        let axis = Axis::of(1_000, 100_000);
        let path = line(&[1_000, 10_000, 10_000, 100_000], &axis);
        assert!(
            path.ends_with(&format!("H{:.1}V{:.1}", axis.x(100_000), BOX.1)),
            "{path}"
        );
        // Half of the way up are those that took ten seconds, which is the middle of the axis.
        assert!((axis.x(10_000) - f64::midpoint(BOX.0, BOX.2)).abs() < 0.1);
        let many: Vec<u64> = (1..=100_000).collect();
        let path = line(&many, &Axis::of(1, 100_000));
        assert!(
            path.len() < 10_000 && path.ends_with(&format!("V{:.1}", BOX.1)),
            "{}",
            path.len()
        );
    }

    #[test]
    fn a_name_stays_a_name() {
        let table = Table::new(&["policy"]);
        let curves = [Curve {
            name: "<b>&",
            took_ms: &[5],
        }];
        let drawn = svg("a <script>", &curves);
        assert!(
            drawn.contains("&lt;b&gt;&amp;") && !drawn.contains("<script>"),
            "{drawn}"
        );
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        assert!(!page("a <script>", &drawn, &table).contains("<script>"));
        assert!(!svg("none", &[]).contains("NaN"));
    }

    #[test]
    fn the_ending_says_what_it_becomes() {
        assert!(check(None).is_ok() && check(Some(Path::new("a.svg"))).is_ok());
        for bad in ["a.png", "svg", "a.SVG.gz"] {
            assert!(check(Some(Path::new(bad))).is_err(), "{bad}");
        }
    }
}
