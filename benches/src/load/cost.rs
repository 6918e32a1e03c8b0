//! What a fill costs by the length of the window and the number of symbols held, and what a portfolio takes of memory.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use tapewatch_monitors::Monitor;
use tapewatch_monitors::risk::TailModel;

use crate::Failure;
use crate::desk::{Desk, Size, parameters};
use crate::readings::{median, resident_mib};
use crate::report::Report;

const WINDOWS: [usize; 5] = [250, 500, 1_000, 2_000, 4_000];
const SYMBOLS: [usize; 4] = [1, 10, 50, 200];
/// Fills that are timed together, and how often: the median of the latter counts.
const FILLS: usize = 64;
const TURNS: usize = 31;
/// The measured desk's: positions of each portfolio, and its window.
const HELD: usize = 10;
const WINDOW: usize = 500;
/// As shipped.
const MODELS: [TailModel; 2] = [TailModel::Historical, TailModel::Revalued];

/// One line of the picture: microseconds by window.
struct Line {
    symbols: usize,
    revalued: bool,
    costs: Vec<f64>,
}

/// Measures both; draws the costs into a file, if one is named.
pub fn run(portfolios: usize, picture: Option<&Path>) -> Result<Report, Failure> {
    let mut report = Report::default();
    // First, so that nothing else has been in memory.
    memory(portfolios, &mut report);
    let mut lines = Vec::new();
    for models in [&MODELS[..1], &MODELS] {
        let revalued = models.contains(&TailModel::Revalued);
        for symbols in SYMBOLS {
            let costs: Vec<f64> = WINDOWS.iter().map(|window| fill_cost(symbols, *window, models)).collect();
            for (window, cost) in WINDOWS.iter().zip(&costs) {
                let with = if revalued { ", revalued" } else { "" };
                let bar = if revalued && (symbols, *window) == (50, 1_000) { "100" } else { "" };
                report.row(
                    format!("a fill: {symbols} symbols, {window} observations{with}"),
                    *cost,
                    "µs",
                    bar,
                );
            }
            lines.push(Line { symbols, revalued, costs });
        }
    }
    let every: Vec<TailModel> = TailModel::ALL.into_iter().filter(|model| !model.of_changes()).collect();
    report.row(
        "a fill: 50 symbols, 1000 observations, every model of what is held",
        fill_cost(50, 1_000, &every),
        "µs",
        "",
    );
    for (contributions, what) in [(0, ""), (5, ", five positions with what they contribute")] {
        report.row(
            format!("a level: {HELD} symbols, {WINDOW} observations, revalued{what}"),
            level_cost(contributions),
            "µs",
            "",
        );
    }
    if let Some(path) = picture {
        fs::write(path, drawn(&lines)?)?;
    }
    Ok(report)
}

/// Microseconds of a fill: the monitor's whole answer to it.
fn fill_cost(symbols: usize, observations: usize, models: &[TailModel]) -> f64 {
    let size = Size { portfolios: 1, symbols, observations };
    let mut desk = Desk::new(size, parameters(size, false, models));
    let turns: Vec<f64> = (0..TURNS)
        .map(|_| {
            let fills: Vec<_> = (0..FILLS).map(|_| desk.tape.fill(0)).collect();
            let begun = Instant::now();
            for fill in &fills {
                desk.show(fill);
            }
            begun.elapsed().as_secs_f64() * 1e6 / FILLS as f64
        })
        .collect();
    median(&turns)
}

/// Microseconds of a portfolio's record at an interval.
fn level_cost(contributions: usize) -> f64 {
    const PORTFOLIOS: usize = 100;
    let size = Size { portfolios: PORTFOLIOS, symbols: HELD, observations: WINDOW };
    let mut parameters = parameters(size, false, &MODELS);
    parameters.window.contributions = contributions;
    parameters.positions = 5;
    let mut desk = Desk::new(size, parameters);
    let turns: Vec<f64> = (0..TURNS)
        .map(|_| {
            let mark = desk.tape.mark(0);
            desk.show(&mark);
            let due = desk.monitor.next_deadline().expect("a mark makes a level due");
            let mut out = Vec::new();
            let begun = Instant::now();
            desk.monitor.tick(due, &mut out);
            let took = begun.elapsed().as_secs_f64() * 1e6;
            assert_eq!(out.len(), PORTFOLIOS, "every portfolio holds what was marked");
            took / PORTFOLIOS as f64
        })
        .collect();
    median(&turns)
}

fn memory(portfolios: usize, report: &mut Report) {
    let size = Size { portfolios, symbols: HELD, observations: WINDOW };
    let before = resident_mib().0;
    let desk = Desk::new(size, parameters(size, false, &MODELS));
    let kib = (resident_mib().0 - before) * 1024.0 / portfolios as f64;
    let saved = desk.monitor.save().len() as f64 / 1024.0 / portfolios as f64;
    report.row("portfolios of one task", portfolios as f64, "", "10,000");
    report.row(format!("memory of one: {HELD} symbols, {WINDOW} observations"), kib, "KiB", "");
    report.row("the same in a snapshot", saved, "KiB", "");
}

/// The lines as a picture (SVG), both axes logarithmic.
fn drawn(lines: &[Line]) -> Result<String, std::fmt::Error> {
    const WIDE: f64 = 720.0;
    const HIGH: f64 = 420.0;
    const EDGE: f64 = 60.0;
    const COLOURS: [&str; 4] = ["#1b6ca8", "#2e8b57", "#c77700", "#b03060"];
    let all = || lines.iter().flat_map(|line| line.costs.iter().copied());
    let (least, most) = (all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max));
    let (low, high) = (least.log10().floor(), most.log10().ceil());
    let (first, last) = (WINDOWS[0] as f64, WINDOWS[WINDOWS.len() - 1] as f64);
    let x = |window: f64| EDGE + (window / first).ln() / (last / first).ln() * (WIDE - 4.0 * EDGE);
    let y = |cost: f64| HIGH - EDGE - (cost.log10() - low) / (high - low) * (HIGH - 2.0 * EDGE);
    let mut svg = String::new();
    writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" font-family="sans-serif" font-size="12">"#
    )?;
    writeln!(svg, r##"<rect width="100%" height="100%" fill="#ffffff"/>"##)?;
    writeln!(
        svg,
        r#"<text x="{EDGE}" y="28" font-size="15">A fill in the risk worker, µs: solid, with the window of changes; dashed, revalued beside it</text>"#
    )?;
    for power in low as i32..=high as i32 {
        let (cost, at) = (10_f64.powi(power), y(10_f64.powi(power)));
        writeln!(
            svg,
            r##"<path d="M{EDGE} {at:.1}H{:.1}" stroke="#dddddd"/><text x="{:.1}" y="{:.1}" text-anchor="end">{cost}</text>"##,
            WIDE - 3.0 * EDGE,
            EDGE - 8.0,
            at + 4.0
        )?;
    }
    for window in WINDOWS {
        let at = x(window as f64);
        writeln!(
            svg,
            r##"<path d="M{at:.1} {EDGE}V{:.1}" stroke="#eeeeee"/><text x="{at:.1}" y="{:.1}" text-anchor="middle">{window}</text>"##,
            HIGH - EDGE,
            HIGH - EDGE + 18.0
        )?;
    }
    writeln!(
        svg,
        r#"<text x="{EDGE}" y="{:.1}">observations in the window, returns of each symbol</text>"#,
        HIGH - 14.0
    )?;
    // Names of lines stand beside their ends, from the bottom up, none over another.
    let mut ends: Vec<(usize, f64)> = lines
        .iter()
        .enumerate()
        .map(|(at, line)| (at, y(*line.costs.last().expect("there is a window"))))
        .collect();
    ends.sort_by(|a, b| b.1.total_cmp(&a.1));
    for at in 1..ends.len() {
        ends[at].1 = ends[at].1.min(ends[at - 1].1 - 14.0);
    }
    for (at, line) in lines.iter().enumerate() {
        let label = ends.iter().find(|(one, _)| *one == at).map_or(0.0, |(_, label)| *label);
        let place = SYMBOLS.iter().position(|symbols| *symbols == line.symbols).unwrap_or(0);
        let dashes = if line.revalued { r#" stroke-dasharray="6 4""# } else { "" };
        let points: Vec<String> = WINDOWS
            .iter()
            .zip(&line.costs)
            .map(|(window, cost)| format!("{:.1},{:.1}", x(*window as f64), y(*cost)))
            .collect();
        writeln!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{}" stroke-width="2"{dashes}/>"#,
            points.join(" "),
            COLOURS[place]
        )?;
        let with = if line.revalued { ", revalued" } else { "" };
        writeln!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" fill="{}">{} symbols{with}</text>"#,
            x(last) + 8.0,
            label + 4.0,
            COLOURS[place],
            line.symbols
        )?;
    }
    writeln!(svg, "</svg>")?;
    Ok(svg)
}
