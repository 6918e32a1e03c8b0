//! Plays a tape into a log: `tapewatch-play --log sqlite:PATH`.

use std::error::Error;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use tapewatch_eventlog::{OpenOptions, open};
use tapewatch_producers::spool::{Courier, SpoolOptions};
use tapewatch_producers::{Layout, PLAYER_ID, Pace, Played, Player, PlayerOptions, Tape, play, play_through};
use tapewatch_schemas::Codec;
use tapewatch_schemas::partition::Partitioner;

/// Plays a tape of bars, and portfolios that trade it, into a log whose topics are there.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// A tape in place of the built-in one: CSV with Datetime,Open,High,Low,Close,Volume.
    tape: Option<PathBuf>,
    /// The log: sqlite:PATH or kafka:HOST:PORT[,…].
    #[arg(long, env = "TAPEWATCH_LOG")]
    log: String,
    /// How fast: max, or how many seconds of the tape in a second.
    #[arg(long, default_value = "max")]
    speed: Pace,
    /// Plays the incident book too.
    #[arg(long)]
    incidents: bool,
    /// The same seed gives the same records.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Only the first so many bars.
    #[arg(long)]
    bars: Option<usize>,
    /// Where records wait while the log is away: at most 256 MiB of them.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tapewatch-play: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let tape = match &arguments.tape {
        Some(path) => Tape::read(path)?,
        None => Tape::built_in()?,
    };
    let report = tape.report();
    eprintln!("{report}");
    for line in report.bad.iter().take(10) {
        eprintln!("  {line}");
    }
    let log = open(&arguments.log, &OpenOptions::default())?;
    let options = PlayerOptions {
        seed: arguments.seed,
        incidents: arguments.incidents,
        bars: arguments.bars,
        layout: Layout::of(log.as_ref(), Partitioner::default())?,
        ..PlayerOptions::default()
    };
    let player = Player::new(options, &tape)?;
    let codec = Codec::new(&[])
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let terminal = std::io::stderr().is_terminal();
    let show = |played: &Played| {
        if terminal {
            eprint!("\r{} of {} bars, {} records, {} ", played.bars, played.of, played.records, played.until);
        }
    };
    // Ctrl-C ends the process: a slice is written whole or not at all, and what is in the spool stays there.
    let (codec, never) = (Arc::new(codec), AtomicBool::new(false));
    let played = match &arguments.spool {
        None => play(&log, codec, player, arguments.speed, show, &never)?,
        Some(dir) => {
            let options = SpoolOptions { id: Some(PLAYER_ID.to_owned()), ..SpoolOptions::new(dir, "play") };
            let courier = Courier::open(&log, &options, Arc::new(|notice| eprintln!("{notice}")))?;
            play_through(courier, &log, codec, player, arguments.speed, show, &never)?
        }
    };
    eprintln!("{}{} bars played, {} records", if terminal { "\n" } else { "" }, played.bars, played.records);
    Ok(())
}
