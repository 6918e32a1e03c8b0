//! `tapewatch play`.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tapewatch_consumers::shutdown::Shutdown;
use tapewatch_consumers::{WorkerError, topics, workers};
use tapewatch_producers::{
    Layout, PLAYER_ID, Pace, PlayError, Played, Player, PlayerOptions, Tape, play, play_through,
};
use tapewatch_schemas::catalogue as c;

use crate::{Access, CliError, Context, courier};

/// What to play.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A tape in place of the built-in one: CSV with Datetime,Open,High,Low,Close,Volume
    tape: Option<PathBuf>,
    /// How fast: max, or how many seconds of the tape in a second
    #[arg(long, value_name = "N|max", default_value = "max", allow_hyphen_values = true)]
    speed: Pace,
    /// The incident book too
    #[arg(long)]
    incidents: bool,
    /// The same seed gives the same records
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// Only the first so many bars
    #[arg(long, value_name = "N")]
    bars: Option<usize>,
    /// Where records wait while the log is away [default: producer.spool.dir, for Kafka]
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
}

/// What a tape writes.
const INPUTS: [&str; 6] =
    [c::MARKET_DATA, c::SIGNALS, c::EXEC_REPORTS, c::POSITIONS, c::ACCOUNTS, c::HEARTBEATS];

/// Plays a tape into a log; makes its topics if they are not there.
pub fn run(args: Args, context: &Context) -> Result<ExitCode, CliError> {
    let shutdown = Shutdown::on_signals()?;
    let settings = context.settings()?;
    let tape = match &args.tape {
        Some(path) => Tape::read(path),
        None => Tape::built_in(),
    }
    .map_err(|error| CliError::Input(error.to_string()))?;
    let mut err = io::stderr();
    let report = tape.report();
    writeln!(err, "{report}")?;
    for line in &report.bad {
        writeln!(err, "  {line}")?;
    }
    let log = context.open(&settings, Access::Create)?;
    topics::prepare(&settings, &*log, true).map_err(WorkerError::from)?;
    let options = PlayerOptions {
        seed: args.seed,
        incidents: args.incidents,
        bars: args.bars,
        layout: Layout::of(&*log, workers::partitioner(&settings))?,
        ..PlayerOptions::default()
    };
    let player = Player::new(options, &tape).map_err(|error| CliError::Usage(error.to_string()))?;
    let codec = Arc::new(workers::writing_codec(&settings, &INPUTS)?.0);
    let terminal = err.is_terminal();
    let show = |played: &Played| {
        if terminal {
            let line = format!(
                "\r{} of {} bars, {} records, {} ",
                played.bars, played.of, played.records, played.until
            );
            // A terminal that went away is no reason to stop playing.
            let _ = write!(io::stderr(), "{line}");
        }
    };
    let named = ("play", Some(PLAYER_ID));
    let played = match courier::open(&settings, args.spool.as_deref(), &log, named)? {
        None => play(&log, codec, player, args.speed, show, shutdown.flag()),
        Some(courier) => play_through(courier, &log, codec, player, args.speed, show, shutdown.flag()),
    }
    .map_err(failed)?;
    writeln!(
        err,
        "{}{} bars played, {} records",
        if terminal { "\n" } else { "" },
        played.bars,
        played.records
    )?;
    if played.finished {
        Ok(ExitCode::SUCCESS)
    } else {
        let waiting = match played.waiting {
            0 => String::new(),
            waiting => format!("; {waiting} records wait in the spool, and go first when it is used again"),
        };
        let text = format!("{} of {} bars were played, each slice whole{waiting}", played.bars, played.of);
        Err(CliError::Interrupted(text))
    }
}

fn failed(error: PlayError) -> CliError {
    match error {
        PlayError::Used { .. } => CliError::Input(error.to_string()),
        PlayError::Log(error) => CliError::Log(error),
        PlayError::Slice(error) => error.into(),
    }
}
