//! `tapewatch replay --verify`: is what was published what the journal gives, byte for byte?

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;
use tapewatch_consumers::replay::{Range, Report, Verdict, Verifier};
use tapewatch_consumers::workers::{self, NAMES};
use tapewatch_schemas::Time;

use crate::interrupt::Interrupt;
use crate::{Access, CliError, Context, exit};

const EXAMPLES: &str = "\
Examples:
  tapewatch replay --verify                          every worker, from its first record
  tapewatch replay --verify --worker risk --json     one worker, a JSON object a task
  tapewatch replay --verify --from 2021-06-01T00:00:00Z --to 2021-06-02T00:00:00Z

Exit code 0: every byte is what the journal gives. 1: something differs; the first difference is named.
7: something cannot be verified here (other code or configuration, or gone from the log); which and why is
named. Nothing is written to the log. The configuration must be the one that the workers ran with.";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Rebuild from the journal, and compare every digest and every output byte with the log
    #[arg(long, required = true)]
    verify: bool,
    /// Of this worker alone
    #[arg(long, value_name = "WORKER", value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
    worker: Option<String>,
    /// Begin at the last anchor at or before this time of the task's clock
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    from: Option<Time>,
    /// End with the last round that began at or before this time of the task's clock
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    to: Option<Time>,
    /// One JSON object a task
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args, context: &Context) -> Result<ExitCode, CliError> {
    // Nothing is written, so nothing is left half done.
    Interrupt::at_once()?;
    let settings = context.settings()?;
    let log = context.open(&settings, Access::Existing)?;
    let range = Range { from: args.from, to: args.to };
    let mut worst = Verdict::Verified;
    for name in NAMES.into_iter().filter(|name| args.worker.as_deref().is_none_or(|only| only == *name)) {
        let plan = workers::plan(name, &settings, log.as_ref(), "replay")?;
        let mut verifier = Verifier::new(&plan, log.clone(), range)?;
        for task in 0..verifier.tasks() {
            let mut progress = Progress::new(format!("{name}/{task}"));
            let report = verifier.verify(task, &mut |done, total| {
                progress.tell(done, total);
            })?;
            progress.clear();
            worst = worst.max(report.verdict());
            if args.json { print_json(&report)? } else { print(&report, context)? }
        }
    }
    Ok(ExitCode::from(match worst {
        Verdict::Verified => exit::OK,
        Verdict::NotVerifiable => exit::NOT_VERIFIABLE,
        Verdict::Differs => exit::FAILED,
    }))
}

fn print_json(report: &Report) -> Result<(), CliError> {
    let mut line = json!(report);
    line["verdict"] = json!(report.verdict());
    writeln!(io::stdout().lock(), "{line}")?;
    Ok(())
}

fn print(report: &Report, context: &Context) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    let verdict = match report.verdict() {
        Verdict::Verified => "verified".to_owned(),
        Verdict::NotVerifiable => context.paint.bold("not verifiable"),
        Verdict::Differs => context.paint.red("DIFFERS"),
    };
    let range = match (report.first, report.last) {
        (Some(first), Some(last)) => format!("journal {first} to {last}"),
        _ => "no journal record".to_owned(),
    };
    writeln!(
        out,
        "{}/{}: {verdict}: {range}: {} inputs, {} outputs, {} dead letters, {} snapshots and anchors",
        report.worker, report.partition, report.inputs, report.outputs, report.letters, report.states
    )?;
    for finding in &report.differs {
        let place = finding.sequence.map_or_else(String::new, |sequence| format!("sequence {sequence}: "));
        writeln!(out, "  {} {place}{}", context.paint.red("differs:"), finding.what)?;
    }
    for why in &report.unverifiable {
        writeln!(out, "  not verifiable: {why}")?;
    }
    Ok(())
}

/// On a terminal: how far it is, and about how long it will take.
struct Progress {
    on: bool,
    what: String,
    begun: Instant,
    told: Instant,
}

impl Progress {
    fn new(what: String) -> Self {
        let now = Instant::now();
        Self { on: io::stderr().is_terminal(), what, begun: now, told: now }
    }

    fn tell(&mut self, done: u64, total: u64) {
        if !self.on || self.told.elapsed() < Duration::from_millis(200) {
            return;
        }
        self.told = Instant::now();
        let rest =
            self.begun.elapsed().as_secs_f64() * (total.saturating_sub(done)) as f64 / done.max(1) as f64;
        // It is a courtesy: that it cannot be written changes nothing.
        let _ = write!(
            io::stderr(),
            "\r\x1b[K{}: {done} of {total} journal records, about {rest:.0} s more",
            self.what
        );
    }

    fn clear(&self) {
        if self.on {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
