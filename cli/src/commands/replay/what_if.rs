//! `replay --what-if`: which alerts another configuration would have given.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;
use tapewatch_config::{Clock, Settings};
use tapewatch_consumers::count::counted;
use tapewatch_consumers::last_epoch::LastEpoch;
use tapewatch_consumers::plan::WorkerPlan;
use tapewatch_consumers::replay::Range;
use tapewatch_consumers::replay::what_if::{Answer, Change, Episode, Moved, Pipeline, what_if};
use tapewatch_consumers::workers;
use tapewatch_eventlog::{Log, OpenOptions, open};
use tapewatch_schemas::catalogue::{ALERTING, RISK, journal_topic};

use super::Args;
use super::progress::Progress;
use crate::{Access, CliError, Context, exit, topic_name};

/// Runs it. What would be otherwise is the answer, not a failure.
pub(super) fn run(args: &Args, file: &Path, context: &Context) -> Result<ExitCode, CliError> {
    let settings = context.settings()?;
    let log = context.open(&settings, Access::Existing)?;
    let then = context.settings_of(Some(file))?;
    let mut leaders = Vec::new();
    let worked = workers::at_work(&settings, log.as_ref())?;
    for name in workers::at_work(&then, log.as_ref())?.into_iter().filter(|name| *name != ALERTING) {
        if !worked.contains(&name) {
            writeln!(
                io::stderr(),
                "warning: {name} has not run on this log: what it would have found is not in the answer"
            )?;
        }
        leaders.push(workers::replay_plan(name, &then, log.as_ref())?);
    }
    let alerting = workers::replay_plan(ALERTING, &then, log.as_ref())?;

    warn(&log, &settings, &then, &alerting)?;
    let folder = tempfile::tempdir().map_err(CliError::Temporary)?;
    let url = format!("sqlite:{}", folder.path().join("what-if.db").display());
    let scratch = open(&url, &OpenOptions::default())?;
    let mut progress = Progress::new("what if", "journal records", !args.json);
    let pipeline = Pipeline { leaders: &leaders, alerting: &alerting };
    let range = Range { from: args.from, to: args.to };
    let answer = what_if(&log, pipeline, &scratch, &range, &mut |done, total| progress.tell(done, total));
    progress.clear();
    let answer = answer?;
    if args.json {
        print_json(&answer)?;
    } else {
        print(&answer, context)?;
    }
    Ok(ExitCode::from(exit::OK))
}

/// Says so if the answer may be of another clock than the tape's workers had.
fn warn(log: &Arc<dyn Log>, settings: &Settings, then: &Settings, plan: &WorkerPlan) -> Result<(), CliError> {
    let tasks = topic_name::partitions(log.as_ref(), journal_topic(RISK).as_str())?;
    let theirs = LastEpoch::newest(log, RISK, tasks, &plan.epoch)?.and_then(|last| last.epoch);
    let (own, asked) = (settings.version().to_string(), then.version().to_string());
    let other = theirs.map(|epoch| epoch.configuration).filter(|theirs| *theirs != own && *theirs != asked);
    if let Some(theirs) = other {
        writeln!(
            io::stderr(),
            "warning: the workers of this log ran under configuration {theirs}, and the settings at hand are {own}: what differs may come of another clock or environment, and not of that file. \
             Name theirs (--env NAME, --config FILE; `tapewatch config version` tells them apart)"
        )?;
    } else if settings.runtime.clock != then.runtime.clock {
        writeln!(
            io::stderr(),
            "warning: the workers of this log ran on the {} clock, and the file asks about the {} clock: what \
             differs may come of that alone",
            clock(settings.runtime.clock),
            clock(then.runtime.clock)
        )?;
    }
    Ok(())
}

fn clock(mode: Clock) -> &'static str {
    match mode {
        Clock::Tape => "tape's",
        Clock::Wall => "wall",
    }
}

fn number(answer: &Answer, change: Change) -> usize {
    answer.moved.iter().filter(|moved| moved.change == change).count()
}

fn print_json(answer: &Answer) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    for moved in &answer.moved {
        writeln!(out, "{}", json!(moved))?;
    }
    let count = |change| number(answer, change);
    let summary = json!({
        "recorded": answer.recorded,
        "then": answer.then,
        "appear": count(Change::Appears),
        "disappear": count(Change::Disappears),
        "move": count(Change::Moves),
        "change": count(Change::Changes),
    });
    writeln!(out, "{summary}")?;
    Ok(())
}

fn print(answer: &Answer, context: &Context) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    if answer.moved.is_empty() {
        writeln!(
            out,
            "no difference: {} fired, and the same would have",
            counted(answer.recorded as u64, "alert")
        )?;
        return Ok(());
    }
    let head = format!(
        "{:<10}  {:<24} {:<16} {:<24}  {:<41}  {:<41}  moved",
        "", "rule", "scope", "about", "was", "would be"
    );
    writeln!(out, "{}", context.paint.bold(head.trim_end()))?;
    for moved in &answer.moved {
        let line = format!(
            "{:<10}  {:<24} {:<16} {:<24}  {:<41}  {:<41}  {}",
            word(moved.change),
            moved.rule,
            moved.scope,
            moved.subject,
            span(moved.recorded.as_ref()),
            span(moved.then.as_ref()),
            by(moved)
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    let count = |change| number(answer, change);
    writeln!(
        out,
        "{} fired, {} would have: {} appear, {} disappear, {} move, {} have another severity",
        counted(answer.recorded as u64, "alert"),
        answer.then,
        count(Change::Appears),
        count(Change::Disappears),
        count(Change::Moves),
        count(Change::Changes)
    )?;
    Ok(())
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Appears => "appears",
        Change::Disappears => "disappears",
        Change::Moves => "moves",
        Change::Changes => "changes",
    }
}

fn span(episode: Option<&Episode>) -> String {
    match episode {
        None => "—".to_owned(),
        Some(Episode { fired, resolved: Some(resolved), .. }) => format!("{fired} … {resolved}"),
        Some(Episode { fired, resolved: None, .. }) => format!("{fired} …"),
    }
}

/// How far it moves.
fn by(moved: &Moved) -> String {
    let severity = match (&moved.recorded, &moved.then) {
        (Some(was), Some(will)) if was.severity != will.severity => {
            format!("{:?} instead of {:?}", will.severity, was.severity)
        }
        _ => String::new(),
    };
    let ends = match (&moved.recorded, &moved.then) {
        (Some(Episode { resolved: Some(_), .. }), Some(Episode { resolved: None, .. })) => {
            "is not resolved".to_owned()
        }
        (Some(Episode { resolved: None, .. }), Some(Episode { resolved: Some(_), .. })) => {
            "is resolved".to_owned()
        }
        _ => later("is resolved", moved.resolves_later),
    };
    let parts = [later("fires", moved.fires_later), ends, severity];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn later(what: &str, micros: Option<i64>) -> String {
    let Some(micros) = micros.filter(|micros| *micros != 0) else { return String::new() };
    let direction = if micros > 0 { "later" } else { "earlier" };
    format!("{what} {} {direction}", readable(micros.unsigned_abs()))
}

fn readable(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    match seconds {
        0 => format!("{} ms", micros / 1_000),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}
