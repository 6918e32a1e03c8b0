//! Many seeds, on some threads, with a line that says how far it is.

use std::io::{IsTerminal as _, Write as _, stderr, stdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tapewatch_eventlog::LogError;

use crate::simulator::{Outcome, Spread, Stock, Tally, simulate as simulate_seed};

/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(250);
/// So many findings of a seed are shown.
const SHOWN: usize = 10;

/// Which seeds, and how they are told of.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The first seed.
    pub first: u64,
    /// The last; none if there is none.
    pub last: Option<u64>,
    /// No seed begins after so long.
    pub within: Option<Duration>,
    /// Simulations at the same time; as many as there are processors if none.
    pub threads: Option<usize>,
    /// One seed, with its digest.
    pub single: bool,
    /// Its history, line by line.
    pub history: bool,
    /// JSON instead of text.
    pub json: bool,
}

/// What has come of the seeds so far.
struct Sum {
    tally: Tally,
    spreads: [Spread; 6],
    failed: Vec<u64>,
    said: Option<Instant>,
}

/// Simulates them. True if nothing was found.
///
/// # Errors
/// If there is no log in memory.
pub fn simulate(plan: &Plan) -> Result<bool, LogError> {
    let began = Instant::now();
    let next = AtomicU64::new(plan.first);
    let sum = Sum { tally: Tally::default(), spreads: Spread::each(), failed: Vec::new(), said: None };
    let sum = Mutex::new(sum);
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let threads = if plan.single { 1 } else { plan.threads.unwrap_or(processors).max(1) };
    // A panic is a finding, and is told as one.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let done: Result<Vec<()>, LogError> = thread::scope(|scope| {
        let running: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| one_after_another(plan, &next, &sum, began))).collect();
        running.into_iter().map(|thread| thread.join().expect("panics are caught in it")).collect()
    });
    std::panic::set_hook(hook);
    done?;
    let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.clear_line();
    sum.tell(plan, began.elapsed());
    Ok(sum.failed.is_empty())
}

fn one_after_another(
    plan: &Plan,
    next: &AtomicU64,
    sum: &Mutex<Sum>,
    began: Instant,
) -> Result<(), LogError> {
    let stock = Stock::new()?;
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let over = plan.last.is_some_and(|last| seed > last)
            || plan.within.is_some_and(|within| began.elapsed() >= within);
        if over {
            return Ok(());
        }
        let outcome = simulate_seed(seed, &stock, plan.history);
        let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.take(plan, &outcome);
        sum.progress(plan, began.elapsed());
    }
}

impl Sum {
    fn take(&mut self, plan: &Plan, outcome: &Outcome) {
        self.tally.add(&outcome.tally);
        self.spreads.iter_mut().for_each(|spread| spread.note(&outcome.tally));
        if plan.single || !outcome.findings.is_empty() {
            self.clear_line();
            // Whoever reads may have gone: the exit code says the same.
            let _ = if plan.json { tell_json(outcome) } else { tell_text(plan, outcome) };
        }
        if !outcome.findings.is_empty() {
            self.failed.push(outcome.seed);
        }
    }

    fn progress(&mut self, plan: &Plan, took: Duration) {
        let due = self.said.is_none_or(|said| said.elapsed() >= EVERY);
        if plan.single || !stderr().is_terminal() || !due {
            return;
        }
        self.said = Some(Instant::now());
        let done = self.tally.seeds;
        let rate = done as f64 / took.as_secs_f64().max(0.001);
        let of = plan.last.map_or_else(String::new, |last| {
            let all = last - plan.first + 1;
            let left = (all - done) as f64 / rate.max(0.001);
            format!(" of {all}, {left:.0} s left")
        });
        let failed = self.failed.len();
        let _ = write!(stderr(), "\r\x1b[K{done} seeds{of}: {rate:.1} a second, {failed} failed");
    }

    fn clear_line(&mut self) {
        if self.said.take().is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }

    fn tell(&mut self, plan: &Plan, took: Duration) {
        self.failed.sort_unstable();
        let seconds = took.as_secs_f64();
        if plan.json {
            let total = json!({
                "seconds": seconds,
                "failed": self.failed,
                "tally": self.tally.to_json(),
                "spread": self.spreads.iter().map(Spread::to_json).collect::<Vec<_>>(),
            });
            let _ = writeln!(stdout(), "{total}");
            return;
        }
        let Tally { seeds, .. } = self.tally;
        let done: Vec<String> = match self.tally.to_json() {
            serde_json::Value::Object(map) => {
                map.into_iter().map(|(name, count)| format!("{count} {name}")).collect()
            }
            _ => Vec::new(),
        };
        let _ = writeln!(stdout(), "{}", done.join(", "));
        let spread = |spread: &Spread| {
            let Spread { kind, seeds, least, .. } = spread;
            format!("{kind} in {seeds} (least: {})", least.unwrap_or_default())
        };
        let spreads: Vec<String> = self.spreads.iter().map(spread).collect();
        let _ = writeln!(stdout(), "of {seeds} seeds {}", spreads.join(", "));
        let _ = match &self.failed[..] {
            [] => {
                writeln!(stdout(), "summary: {seeds} seeds simulated in {seconds:.1} s, and everything held")
            }
            failed => writeln!(
                stdout(),
                "summary: {seeds} seeds simulated in {seconds:.1} s, {} failed: {failed:?}. See one with --seed N --history",
                failed.len()
            ),
        };
    }
}

fn tell_text(plan: &Plan, outcome: &Outcome) -> std::io::Result<()> {
    let mut out = stdout().lock();
    for line in &outcome.lines {
        writeln!(out, "{line}")?;
    }
    if plan.single {
        writeln!(out, "seed {}: its history has the digest {}", outcome.seed, outcome.digest)?;
    }
    for finding in outcome.findings.iter().take(SHOWN) {
        writeln!(out, "seed {}: {finding}", outcome.seed)?;
    }
    if let Some(more) = outcome.findings.len().checked_sub(SHOWN + 1) {
        writeln!(out, "seed {}: and {} more", outcome.seed, more + 1)?;
    }
    Ok(())
}

fn tell_json(outcome: &Outcome) -> std::io::Result<()> {
    let findings: Vec<_> = outcome.findings.iter().map(crate::simulator::Finding::to_json).collect();
    let line = json!({
        "seed": outcome.seed,
        "digest": outcome.digest.to_string(),
        "findings": findings,
        "history": outcome.lines,
    });
    writeln!(stdout(), "{line}")
}
