//! What the demo ends with.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tapewatch_consumers::audit::Line;
use tapewatch_producers::{Incident, Verdict};

use crate::Paint;

/// How long things took.
#[derive(Clone, Debug, Default)]
pub struct Timings {
    /// Records that the player wrote.
    pub inputs: u64,
    /// Time spent making and writing them.
    pub produce: Duration,
    /// From each slice's commit until every worker had committed what follows from it.
    pub slices: Vec<Duration>,
}

/// The incident book and what became of it.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The incidents.
    pub incidents: Vec<Incident>,
    /// What was found, missed, falsely found.
    pub verdict: Verdict,
}

/// Everything worth telling.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The seed.
    pub seed: u64,
    /// What became of the tape's lines.
    pub tape: String,
    /// Where the log is.
    pub folder: PathBuf,
    /// From the first slice to the last.
    pub took: Duration,
    /// How long things took.
    pub timings: Timings,
    /// Records that the workers wrote, by topic.
    pub derived: BTreeMap<String, i64>,
    /// Alerts fired and resolved.
    pub alerts: (u64, u64),
    /// Incidents.
    pub judgement: Judgement,
    /// Law 1, a line for each worker, task and source partition.
    pub law: Vec<Line>,
}

impl Summary {
    /// True if all reconciles, every incident that has a monitor was found, and none that is not there.
    pub fn is_clean(&self) -> bool {
        self.law.iter().all(Line::holds) && self.judgement.verdict.is_clean()
    }

    fn events(&self) -> i64 {
        self.timings.inputs as i64 + self.derived.values().sum::<i64>()
    }

    fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.timings.slices.clone();
        sorted.sort_unstable();
        let index = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
        sorted.get(index).copied().unwrap_or_default()
    }

    fn log(&self) -> String {
        format!("sqlite:{}", self.folder.join("tape.db").display())
    }

    /// For machines.
    pub fn json(&self) -> Value {
        let verdict = &self.judgement.verdict;
        json!({
            "clean": self.is_clean(),
            "seed": self.seed,
            "log": self.log(),
            "tape": self.tape,
            "seconds": self.took.as_secs_f64(),
            "events": self.events(),
            "inputs": self.timings.inputs,
            "derived": self.derived,
            "inputs_per_second": self.timings.inputs as f64 / self.took.as_secs_f64().max(1e-9),
            "slice_seconds": {
                "p50": self.quantile(0.50).as_secs_f64(),
                "p99": self.quantile(0.99).as_secs_f64(),
            },
            "alerts": {"fired": self.alerts.0, "resolved": self.alerts.1},
            "incidents": self.judgement.incidents,
            "found": verdict.found,
            "missed": verdict.missed,
            "no_monitor": verdict.no_monitor,
            "falsely_found": verdict.falsely_found,
            "of_the_market": verdict.of_the_market,
            "untold": verdict.untold,
            "stopped": verdict.stopped,
            "law1": self.law,
        })
    }

    /// For people.
    pub fn print(&self, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
        self.print_rates(out)?;
        self.print_incidents(out, paint)?;
        self.print_market(out, paint)?;
        self.print_stopped(out, paint)?;
        self.print_law(out, paint)?;
        let log = self.log();
        let program = std::env::args().next().unwrap_or_else(|| "tapewatch".to_owned());
        writeln!(out, "\nThe log is {log}. Next:")?;
        for (command, what) in [
            (format!("{program} tail alerts.v1 --log {log}"), "read the alerts"),
            (format!("{program} status --env demo --log {log}"), "reconcile it again"),
            (format!("{program} replay --verify --env demo --log {log}"), "replay it, byte for byte"),
            (format!("{program} dlq list --log {log}"), "what could not be used, and why"),
            (format!("{program} halt list --env demo --log {log}"), "what trading is allowed to do"),
        ] {
            writeln!(out, "  {command}    {}", paint.dim(what))?;
        }
        Ok(())
    }

    fn print_rates(&self, out: &mut dyn Write) -> io::Result<()> {
        let seconds = self.took.as_secs_f64();
        writeln!(out, "tape       {}", self.tape)?;
        let derived: i64 = self.derived.values().sum();
        writeln!(
            out,
            "events     {} in, {derived} derived, in {seconds:.1} s: {:.0} inputs/s, the player included",
            self.timings.inputs,
            self.timings.inputs as f64 / seconds.max(1e-9)
        )?;
        writeln!(
            out,
            "latency    a slice's commit to everything that follows from it: p50 {:.0} ms, p99 {:.0} ms",
            self.quantile(0.50).as_secs_f64() * 1e3,
            self.quantile(0.99).as_secs_f64() * 1e3
        )?;
        writeln!(out, "alerts     {} fired, {} resolved", self.alerts.0, self.alerts.1)
    }

    fn print_incidents(&self, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
        let verdict = &self.judgement.verdict;
        let with_monitor = verdict.found.len() + verdict.missed.len();
        writeln!(
            out,
            "incidents  {} injected; {} of {with_monitor} with a monitor found; {} falsely found",
            self.judgement.incidents.len(),
            verdict.found.len(),
            verdict.falsely_found.len()
        )?;
        for incident in &self.judgement.incidents {
            let mark = if verdict.found.contains(&incident.id) {
                "found".to_owned()
            } else if verdict.missed.contains(&incident.id) {
                paint.red("MISSED")
            } else {
                paint.dim("no monitor yet")
            };
            writeln!(out, "  {} {:<24} {mark}: {}", incident.time, incident.id, incident.what)?;
        }
        for alert in &verdict.falsely_found {
            let text = format!("{} {} {} {:?}", alert.time, alert.scope, alert.subject, alert.status);
            writeln!(out, "  {} {text}", paint.red("FALSE"))?;
        }
        Ok(())
    }

    fn print_market(&self, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
        let verdict = &self.judgement.verdict;
        writeln!(
            out,
            "market     {} alerts on lights of backtests and correlations, each over its bound in the figures; {} untold",
            verdict.of_the_market,
            verdict.untold.len()
        )?;
        for one in &verdict.untold {
            let text = format!("{} {} {} {:?} {}", one.time, one.scope, one.limit, one.status, one.value);
            writeln!(out, "  {} {text}", paint.red("UNTOLD"))?;
        }
        Ok(())
    }

    fn print_stopped(&self, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
        let Some(stopped) = &self.judgement.verdict.stopped else { return Ok(()) };
        writeln!(
            out,
            "stale feed {} limits rested on the marks that stopped, {} did not; {} of them unknown too late, too early \
             or wrongly",
            stopped.rested.values().sum::<usize>(),
            stopped.others,
            stopped.untimely.len()
        )?;
        for one in &stopped.untimely {
            writeln!(out, "  {} {} {} {}", paint.red("WRONG"), one.scope, one.limit, one.what)?;
        }
        Ok(())
    }

    fn print_law(&self, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
        let broken: Vec<&Line> = self.law.iter().filter(|line| !line.holds()).collect();
        let consumed: i64 = self.law.iter().map(|line| line.consumed).sum();
        writeln!(
            out,
            "nothing lost: {} of {} source partitions reconcile ({consumed} records consumed = processed + \
             dead-lettered + skipped)",
            self.law.len() - broken.len(),
            self.law.len()
        )?;
        for line in broken {
            writeln!(out, "  {} {line}", paint.red("DIFFERS"))?;
        }
        Ok(())
    }
}
