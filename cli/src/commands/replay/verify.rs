//! `replay --verify`: is what was published what the journal gives, byte for byte?

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use serde_json::json;
use tapewatch_config::Settings;
use tapewatch_consumers::count::counted;
use tapewatch_consumers::last_epoch::LastEpoch;
use tapewatch_consumers::replay::{Range, Report, Verdict, verify_on_threads};
use tapewatch_consumers::workers::{self, NAMES};
use tapewatch_eventlog::Log;
use tapewatch_schemas::catalogue::{RISK, journal_topic};

use super::Args;
use super::progress::Progress;
use crate::{Access, CliError, Context, exit, topic_name};

/// Runs it.
pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CliError> {
    let settings = context.settings()?;
    let log = context.open(&settings, Access::Existing)?;
    Ok(code(all(args, context, &settings, &log)?))
}

/// The exit code of a verdict.
pub(super) fn code(verdict: Verdict) -> ExitCode {
    ExitCode::from(match verdict {
        Verdict::Verified => exit::OK,
        Verdict::NotVerifiable => exit::NOT_VERIFIABLE,
        Verdict::Differs => exit::FAILED,
    })
}

/// Verifies every task that was asked for, and says how it came out.
pub(super) fn all(
    args: &Args,
    context: &Context,
    settings: &Settings,
    log: &Arc<dyn Log>,
) -> Result<Verdict, CliError> {
    let range = Range { from: args.from, to: args.to };
    let threads = available_parallelism().map_or(1, usize::from);
    let mut reports = Vec::new();
    let names = match &args.worker {
        Some(worker) => NAMES.into_iter().filter(|name| name == worker).collect(),
        None => workers::at_work(settings, log.as_ref())?,
    };
    let mut tasks = Vec::new();
    for name in &names {
        tasks.push(topic_name::partitions(log.as_ref(), journal_topic(name).as_str())?);
    }
    for (name, of) in names.iter().copied().zip(chosen(&args.partition, &tasks)?) {
        let plan = workers::replay_plan(name, settings, log.as_ref())?;
        let progress = Mutex::new(Progress::new(name, "journal records", !args.json));
        let of_worker = verify_on_threads(&plan, log, range, (&of, threads), &|done, total| {
            progress.lock().unwrap_or_else(PoisonError::into_inner).tell(done, total);
        });
        progress.into_inner().unwrap_or_else(PoisonError::into_inner).clear();
        for report in of_worker? {
            if args.json {
                print_json(&report)?;
            } else {
                print(&report, context)?;
            }
            reports.push(report);
        }
    }
    if !args.json {
        print_gaps(&reports)?;
    }
    advise(args, context, settings, log, &reports)?;
    let nothing =
        reports.iter().all(|report| report.first.is_none() && report.verdict() == Verdict::Verified);
    if nothing {
        return Err(CliError::NotVerifiable(format!(
            "nothing was verified: no journal record {}. `tapewatch tail {}` shows when they were written; times \
             are those of the tasks' clocks",
            between(args),
            journal_topic(args.worker.as_deref().unwrap_or(RISK)),
        )));
    }
    Ok(reports.iter().map(Report::verdict).max().unwrap_or(Verdict::Verified))
}

/// The range that was asked for, in words.
fn between(args: &Args) -> String {
    match (args.from, args.to) {
        (Some(from), Some(to)) => format!("lies between {from} and {to}"),
        (Some(from), None) => format!("lies at or after {from}"),
        (None, Some(to)) => format!("lies at or before {to}"),
        (None, None) => "is there".to_owned(),
    }
}

/// Of workers with so many tasks each, the partitions that were asked for; all if none was.
pub(in crate::commands) fn chosen(asked: &[i32], tasks: &[i32]) -> Result<Vec<Vec<i32>>, CliError> {
    let most = tasks.iter().copied().max().unwrap_or(0);
    if let Some(beyond) = asked.iter().find(|partition| !(0..most).contains(partition)) {
        let last = most - 1;
        let text = format!("--partition {beyond}: there are the partitions 0 to {last} on this log");
        return Err(CliError::Usage(text));
    }
    let wanted = |partition: &i32| asked.is_empty() || asked.contains(partition);
    Ok(tasks.iter().map(|count| (0..*count).filter(wanted).collect()).collect())
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
        _ if report.unverifiable.is_empty() => "no journal record".to_owned(),
        _ => "nothing of its journal was run again".to_owned(),
    };
    let states = match report.states {
        1 => "1 snapshot or anchor".to_owned(),
        many => format!("{many} snapshots and anchors"),
    };
    writeln!(
        out,
        "{}/{}: {verdict}: {range}: {}, {}, {}, {states}",
        report.worker,
        report.partition,
        counted(report.inputs, "input"),
        counted(report.outputs, "output"),
        counted(report.letters, "dead letter")
    )?;
    for finding in &report.differs {
        let place = finding.sequence.map_or_else(String::new, |sequence| format!("sequence {sequence}: "));
        writeln!(out, "  {} {place}{}", context.paint.red("differs:"), finding.what)?;
    }
    Ok(())
}

/// Says which settings the log's workers had, where it is for them that something could not be verified: beside the
/// objects, not among them.
fn advise(
    args: &Args,
    context: &Context,
    settings: &Settings,
    log: &Arc<dyn Log>,
    reports: &[Report],
) -> Result<(), CliError> {
    let own = settings.version().to_string();
    let Some(report) = reports.iter().find(|report| !report.unverifiable.is_empty()) else { return Ok(()) };
    let worker = report.worker.as_str();
    let plan = workers::replay_plan(worker, settings, log.as_ref())?;
    let tasks = topic_name::partitions(log.as_ref(), journal_topic(worker).as_str())?;
    let last = LastEpoch::newest(log, worker, tasks, &plan.epoch)?.and_then(|last| last.epoch);
    let Some(theirs) = last.map(|epoch| epoch.configuration).filter(|theirs| *theirs != own) else {
        return Ok(());
    };
    let advice = match context.environment_of(&theirs) {
        Some(Some(name)) => format!("they ran with `--env {name}`: run the same with `--env {name}`"),
        Some(None) => {
            "they ran without an environment: run the same without `--env` and TAPEWATCH_ENV".to_owned()
        }
        None => format!(
            "they ran under configuration {theirs}, which is that of no environment known here: name the file that \
             they had (--config FILE; `tapewatch config version` tells)"
        ),
    };
    let line = format!("the workers of this log had other settings than these: {advice}");
    if args.json {
        writeln!(io::stderr(), "{line}")?;
    } else {
        writeln!(io::stdout().lock(), "{line}")?;
    }
    Ok(())
}

/// What could not be verified: each reason once, with the tasks that it is about.
fn print_gaps(reports: &[Report]) -> Result<(), CliError> {
    let mut whys: Vec<(&str, Vec<String>)> = Vec::new();
    for report in reports {
        for gap in &report.unverifiable {
            let place = format!("{}/{} {gap}", report.worker, report.partition);
            match whys.iter_mut().find(|(why, _)| *why == gap.why) {
                Some((_, places)) => places.push(place),
                None => whys.push((&gap.why, vec![place])),
            }
        }
    }
    let mut out = io::stdout().lock();
    for (why, places) in whys {
        writeln!(out, "not verifiable: {why}\n  {}", places.join("; "))?;
    }
    Ok(())
}
