//! `tapewatch halt list|raise|resume|acknowledge`: what trading is allowed to do, and who says so.

mod board;
mod counter;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use tapewatch_config::Settings;
use tapewatch_schemas::RecordId;
use tapewatch_schemas::events::{Control, RequestKind, TradingLevel};

use super::words;
use crate::{Access, CliError, Context};
use board::Board;
use counter::{Asked, Counter};

const EXAMPLES: &str = "\
Examples:
  tapewatch halt list
  tapewatch halt raise momentum-1 --who ada --why 'fills that nobody ordered'
  tapewatch halt resume momentum-1 --who ada --why 'the venue has cancelled them'
  tapewatch halt acknowledge momentum-1 --halt 6f1c… --who oms-2 --why 'open orders are cancelled'

The alerting worker holds what is in force and answers on control.v1: a trading system reads that topic in full
and obeys the last level of every scope it is under. A halt stays until a person of the configuration
(alerting.control.people) with the role alerting.control.resume_role ends it.";

/// What to do about halts.
#[derive(Clone, Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// What is in force, since when, called for by whom, acknowledged by whom
    List {
        /// Also scopes that were halted and trade again
        #[arg(long)]
        all: bool,
        /// One JSON object a scope
        #[arg(long)]
        json: bool,
    },
    /// Allow less: nothing, or only what makes a position smaller
    Raise {
        /// What is in force afterwards
        #[arg(long, value_enum, default_value_t = Level::Halt)]
        level: Level,
        /// Who asks, and what about
        #[command(flatten)]
        person: Person,
    },
    /// Allow more again: needs a role
    Resume {
        /// What is in force afterwards
        #[arg(long, value_enum, default_value_t = Level::Normal)]
        to: Level,
        /// Only if this is still the halt in force
        #[arg(long, value_name = "ID")]
        halt: Option<RecordId>,
        /// Although a limit still calls for the halt: it calls again once it was kept in between
        #[arg(long)]
        despite_breach: bool,
        /// Who asks, and what about
        #[command(flatten)]
        person: Person,
    },
    /// Say that a trading system obeys a halt
    Acknowledge {
        /// The halt
        #[arg(long, value_name = "ID")]
        halt: RecordId,
        /// Who asks, and what about
        #[command(flatten)]
        person: Person,
    },
}

/// Who asks what about.
#[derive(Clone, Debug, Args)]
pub struct Person {
    /// The scope: a portfolio's id, or strategy:ID, desk:ID, firm:ID
    scope: String,
    /// Who asks
    #[arg(long, value_name = "NAME")]
    who: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// How long to wait for alerting's answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3600))]
    wait: u64,
    /// The answer as one JSON object
    #[arg(long)]
    json: bool,
}

/// What trading is allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Everything
    Normal,
    /// Only what makes a position smaller
    ReduceOnly,
    /// Nothing
    Halt,
}

impl Level {
    const fn raising(self) -> Option<RequestKind> {
        match self {
            Self::Normal => None,
            Self::ReduceOnly => Some(RequestKind::ReduceOnly),
            Self::Halt => Some(RequestKind::Halt),
        }
    }

    const fn lowering(self) -> Option<RequestKind> {
        match self {
            Self::Normal => Some(RequestKind::Resume),
            Self::ReduceOnly => Some(RequestKind::ResumeReduceOnly),
            Self::Halt => None,
        }
    }
}

/// Runs it.
pub fn run(command: Command, context: &Context) -> Result<ExitCode, CliError> {
    match command {
        Command::List { all, json } => list(all, json, context),
        Command::Raise { level, person } => {
            let wrong =
                || CliError::Usage("--level normal allows more: that is `tapewatch halt resume`".into());
            ask(level.raising().ok_or_else(wrong)?, None, false, person, context)
        }
        Command::Resume { to, halt, despite_breach, person } => {
            let wrong = || CliError::Usage("--to halt allows nothing: that is `tapewatch halt raise`".into());
            ask(to.lowering().ok_or_else(wrong)?, halt, despite_breach, person, context)
        }
        Command::Acknowledge { halt, person } => {
            ask(RequestKind::Acknowledge, Some(halt), false, person, context)
        }
    }
}

/// A halt is never refused for its name, since trading systems may know more scopes than the settings do; but whoever
/// mistypes one should know.
fn warn_of_stranger(scope: &str, settings: &Settings) {
    let known: Vec<&str> = settings.firm.scopes.iter().map(|one| one.scope.as_str()).collect();
    if scope.contains(':') && !known.contains(&scope) {
        let all = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
        eprintln!(
            "warning: {scope} is not among firm.scopes ({all}): trading systems are told, and nobody looks whether they obey"
        );
    }
}

fn list(all: bool, json: bool, context: &Context) -> Result<ExitCode, CliError> {
    let settings = context.settings()?;
    let log = context.open(&settings, Access::Existing)?;
    let board = Board::read(&log, &settings)?;
    let shown = |control: &&Control| all || control.level > TradingLevel::Normal;
    let mut out = io::stdout().lock();
    let mut none = true;
    for control in board.scopes.values().filter(shown) {
        none = false;
        if json {
            writeln!(out, "{}", json!(control))?;
        } else {
            print(&mut out, control)?;
        }
    }
    if none && !json {
        writeln!(out, "no scope is restricted")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(
    request: RequestKind,
    halt: Option<RecordId>,
    despite_breach: bool,
    person: Person,
    context: &Context,
) -> Result<ExitCode, CliError> {
    let Person { scope, who, why, wait, json } = person;
    words("who", &who)?;
    words("why", &why)?;
    let settings = context.settings()?;
    let log = context.open(&settings, Access::Existing)?;
    let halt = match request {
        // What is to be ended is what is there now: not a halt that comes while this is on its way.
        RequestKind::Resume | RequestKind::ResumeReduceOnly if halt.is_none() => {
            Board::read(&log, &settings)?.scopes.get(&scope).and_then(|control| control.halt)
        }
        _ => halt,
    };
    let asked = Asked { scope, request, halt, who, reason: why, despite_breach };
    let control = Counter::open(&log, &settings)?.ask(asked, Duration::from_secs(wait))?;
    if matches!(request, RequestKind::Halt | RequestKind::ReduceOnly) && control.problem.is_none() {
        warn_of_stranger(control.scope.as_str(), &settings);
    }
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", json!(control))?;
    } else if control.problem.is_none() {
        print(&mut out, &control)?;
    }
    if let Some(problem) = &control.problem {
        let level = board::words(control.level);
        return Err(CliError::Failed(format!("refused: {problem}. {}: {level}, as before", control.scope)));
    }
    Ok(ExitCode::SUCCESS)
}

fn print(out: &mut impl Write, control: &Control) -> io::Result<()> {
    let by = control.who.as_deref().map_or_else(String::new, |who| format!("{who}: "));
    writeln!(out, "{}: {} since {}", control.scope, board::words(control.level), control.since)?;
    writeln!(out, "    {by}{}", control.reason)?;
    if let Some(halt) = control.halt {
        let by = control.acknowledged_by.as_deref().unwrap_or("nobody yet");
        writeln!(out, "    halt {halt}, acknowledged by {by}")?;
    }
    Ok(())
}
