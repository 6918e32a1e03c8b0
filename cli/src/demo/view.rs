//! The live view: progress, rates, open alerts, profit and loss, VaR. On a terminal only.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crossterm::{cursor, queue, style, terminal};
use tapewatch_schemas::events::RiskMetrics;

use super::Options;
use super::stage::{Played, Stage};
use crate::Paint;

/// Drawn at most so often.
const EVERY: Duration = Duration::from_millis(100);
/// Portfolios and alerts shown at most.
const SHOWN: usize = 8;

/// The live view.
pub(super) struct View {
    live: bool,
    paint: Paint,
    begun: Instant,
    drawn: Option<Instant>,
    lines: u16,
    bars: usize,
}

impl View {
    /// A view of a stage.
    pub(super) fn new(options: &Options, stage: &Stage) -> Self {
        Self {
            live: options.live && io::stderr().is_terminal(),
            paint: options.paint,
            begun: Instant::now(),
            drawn: None,
            lines: 0,
            bars: stage.player.bars(),
        }
    }

    /// Draws what a slice changed, if it is time to.
    pub(super) fn draw(&mut self, stage: &Stage, played: &Played) {
        let due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= EVERY);
        if !self.live || !due && played.bars < self.bars {
            return;
        }
        self.drawn = Some(Instant::now());
        let text = self.text(stage, played);
        // A terminal that went away is no reason to stop.
        let _ = self.show(&text);
    }

    fn text(&self, stage: &Stage, played: &Played) -> String {
        let mut text = String::new();
        let share = played.bars as f64 / self.bars.max(1) as f64;
        let filled = (share * 30.0) as usize;
        let rate = stage.inputs() as f64 / self.begun.elapsed().as_secs_f64().max(1e-9);
        let bar = format!("{}{}", "█".repeat(filled), "░".repeat(30 - filled));
        let _ = writeln!(text, "{bar} {:3.0} %  {}  {rate:.0} events/s", share * 100.0, played.until);
        let head = format!(
            "{:<12} {:>14} {:>12} {:>12} {:>12} {:>9}",
            "portfolio", "equity", "P&L", "VaR 95", "gross", "drawdown"
        );
        let _ = writeln!(text, "{}", self.paint.bold(&head));
        for figures in stage.watch.latest.values().take(SHOWN) {
            let _ = writeln!(text, "{}", row(figures));
        }
        let _ = writeln!(text, "{}", self.paint.bold(&format!("open alerts: {}", stage.watch.open.len())));
        for alert in stage.watch.open.values().take(SHOWN) {
            let line = format!("{:?} {} {}", alert.severity, alert.scope, alert.message);
            let short: String = line.chars().take(100).collect();
            let _ = writeln!(text, "  {}", self.paint.red(&short));
        }
        text
    }

    fn show(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stderr().lock();
        if self.lines > 0 {
            queue!(out, cursor::MoveToPreviousLine(self.lines))?;
        }
        queue!(out, terminal::Clear(terminal::ClearType::FromCursorDown), style::Print(text))?;
        self.lines = text.lines().count() as u16;
        out.flush()
    }

    /// Leaves the last picture where it is.
    pub(super) fn close(&mut self) {
        self.lines = 0;
    }
}

fn row(figures: &RiskMetrics) -> String {
    let value = |name: &str| figures.measures.iter().find(|m| m.name == name).and_then(|m| m.value);
    let show = |value: Option<f64>, digits: usize| match value {
        Some(value) => format!("{value:.digits$}"),
        None => "unknown".to_owned(),
    };
    let profit = match (value("realised_pnl"), value("unrealised_pnl")) {
        (Some(realised), Some(unrealised)) => Some(realised + unrealised),
        _ => None,
    };
    format!(
        "{:<12} {:>14} {:>12} {:>12} {:>12} {:>8} %",
        figures.scope.as_str(),
        show(value("equity"), 0),
        show(profit, 0),
        show(value("var_95"), 0),
        show(value("gross_exposure"), 0),
        show(value("drawdown").map(|share| share * 100.0), 2)
    )
}
