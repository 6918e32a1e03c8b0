//! `tapewatch status`: does all reconcile, how far behind is it, what is open?

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde_json::json;
use tapewatch_consumers::audit::{Audit, Head, Line, Subject, audit};
use tapewatch_consumers::workers::{self, NAMES};

use crate::interrupt::Interrupt;
use crate::{Access, CliError, Context, exit};

const EXAMPLES: &str = "\
Examples:
  tapewatch status                     every worker: law 1, lag, journal heads, open breakers
  tapewatch status --worker risk       one worker
  tapewatch status --json | jq .holds  for a script; the exit code is 1 if something does not reconcile

What is counted is read again from the log, never taken from offsets, so it takes as long as reading does.
Nothing is written and no group is joined: it may run beside the workers.";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Of this worker alone
    #[arg(long, value_name = "WORKER", value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
    worker: Option<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args, context: &Context) -> Result<ExitCode, CliError> {
    // Reading may take long, and nothing is written.
    Interrupt::at_once()?;
    let settings = context.settings()?;
    let log = context.open(&settings, Access::Existing)?;
    let names = match &args.worker {
        Some(worker) => vec![worker.as_str()],
        None => workers::at_work(&settings, log.as_ref())?,
    };
    let mut progress = Telling::new();
    let mut audits = Vec::new();
    for name in names {
        audits.push(audit(&log, &Subject::of(name), &mut |what| progress.tell(what))?);
    }
    progress.clear();
    let holds = audits.iter().all(Audit::holds);
    if args.json {
        let workers: Vec<_> = audits.iter().map(as_json).collect();
        let text = json!({"holds": holds, "log": log.address(), "workers": workers});
        writeln!(io::stdout().lock(), "{text}")?;
    } else {
        let mut out = io::stdout().lock();
        for found in &audits {
            print(found, &mut out, context)?;
        }
        let verdict = if holds {
            "all reconciles: consumed = processed + dead-lettered + skipped on purpose".to_owned()
        } else {
            context.paint.red("something does not reconcile: see above")
        };
        writeln!(out, "{verdict}")?;
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

fn as_json(audit: &Audit) -> serde_json::Value {
    json!({
        "worker": audit.worker,
        "holds": audit.holds(),
        "journals": audit.heads,
        "law1": audit.lines,
        "doubled_outputs": audit.doubled,
    })
}

fn print(audit: &Audit, out: &mut dyn Write, context: &Context) -> Result<(), CliError> {
    writeln!(out, "{}", context.paint.bold(audit.worker.as_str()))?;
    for head in &audit.heads {
        print_head(head, out, context)?;
    }
    let width = audit.lines.iter().map(|line| source(line).len()).max().unwrap_or(0).max(6);
    let title = format!(
        "  {:>4}  {:width$}  {:>10}  {:>10}  {:>6}  {:>8}  {:>10}  {:>8}  {:>10}",
        "task", "source", "consumed", "processed", "dead", "skipped", "counted", "lag", "position"
    );
    writeln!(out, "{}", context.paint.dim(&title))?;
    for line in &audit.lines {
        writeln!(
            out,
            "  {:>4}  {:width$}  {:>10}  {:>10}  {:>6}  {:>8}  {:>10}  {:>8}  {:>10}{}",
            line.task,
            source(line),
            line.consumed,
            line.processed,
            line.dead,
            line.skipped(),
            line.counted,
            line.lag,
            line.position,
            group(line, context)
        )?;
        for problem in &line.problems {
            writeln!(out, "        {} {problem}", context.paint.red("DIFFERS"))?;
        }
        if line.gone > 0 {
            let text = format!("{} earlier records are gone from the log and not counted again", line.gone);
            writeln!(out, "        {}", context.paint.dim(&text))?;
        }
    }
    for doubled in &audit.doubled {
        let place = format!("{}/{} offset {}", doubled.topic, doubled.partition, doubled.offset);
        let text = context.paint.red("DOUBLED");
        writeln!(out, "  {text} {place}: {} stands again, or out of order", doubled.from)?;
    }
    writeln!(out)?;
    Ok(())
}

fn print_head(head: &Head, out: &mut dyn Write, context: &Context) -> Result<(), CliError> {
    let Some(sequence) = head.sequence else {
        writeln!(out, "  task {}: nothing written yet", head.task)?;
        return Ok(());
    };
    let clock = head.clock.map_or_else(|| "no tick yet".to_owned(), |time| format!("last tick {time}"));
    let hash = head.hash.to_string();
    writeln!(
        out,
        "  task {}: journal {sequence} {}  {} steps, {} outputs, {clock}  {}",
        head.task,
        &hash[..16],
        head.steps,
        head.outputs,
        context.paint.dim(&format!(
            "code {} configuration {}",
            short(&head.code),
            short(&head.configuration)
        ))
    )?;
    for open in &head.breakers {
        let text = format!(
            "breaker open: {}/{} is down from offset {} since {}",
            open.topic, open.partition, open.offset, open.since
        );
        writeln!(out, "    {}", context.paint.red(&text))?;
    }
    for problem in &head.problems {
        writeln!(out, "    {} {problem}", context.paint.red("DIFFERS"))?;
    }
    Ok(())
}

fn source(line: &Line) -> String {
    format!("{}/{}", line.topic, line.partition)
}

/// Where the group stands, if that is not where the journal does.
fn group(line: &Line, context: &Context) -> String {
    match line.group_offset {
        Some(offset) if offset != line.position => {
            // Beside a running worker it is ahead of what was read a moment ago.
            context.paint.dim(&format!("  the group stands at {offset}"))
        }
        _ => String::new(),
    }
}

fn short(version: &str) -> &str {
    version.get(..12).unwrap_or(version)
}

/// Says on a terminal what is being read.
struct Telling {
    on: bool,
}

impl Telling {
    fn new() -> Self {
        Self { on: io::stderr().is_terminal() }
    }

    fn tell(&mut self, what: &str) {
        if self.on {
            // It is a courtesy: that it cannot be written changes nothing.
            let _ = write!(io::stderr(), "\r\x1b[Kreading {what}");
        }
    }

    fn clear(&mut self) {
        if self.on {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
