//! The load harness: rates, latencies and costs on this machine.

use clap::{Parser, Subcommand};
use tapewatch_benches::Failure;
use tapewatch_benches::load::{cost, job_e, latency, memory, r, replay, restart, start, transaction};
use tapewatch_benches::peer::Peer;

/// Measures tapewatch on this machine.
#[derive(Parser)]
struct Arguments {
    /// JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
    /// sqlite:PATH or kafka:HOST:PORT; a fresh file if none. The log must be fresh.
    #[arg(long, global = true)]
    log: Option<String>,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Reference workload R with all workers.
    R {
        /// Events at full speed.
        #[arg(long, default_value_t = 2_000_000)]
        events: u64,
        /// Events a second instead of full speed.
        #[arg(long)]
        rate: Option<u64>,
        /// For so long, at a rate.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// `replay --verify` of R, against the live rate of the same run.
    Replay {
        /// Events at full speed.
        #[arg(long, default_value_t = 2_000_000)]
        events: u64,
    },
    /// Execution reports alone, against raw consumption and peers.
    JobE {
        /// Reports in each repetition.
        #[arg(long, default_value_t = 1_000_000)]
        records: u64,
        /// How often.
        #[arg(long, default_value_t = 5)]
        repetitions: u32,
        /// NAME=PROGRAM ARGUMENT…: another system to do the same, on Kafka.
        #[arg(long = "peer")]
        peers: Vec<Peer>,
    },
    /// Fill to alert.
    Latency {
        /// Events a second beside.
        #[arg(long, default_value_t = 1_000)]
        rate: u64,
        /// For so long, after ten seconds that do not count.
        #[arg(long, default_value_t = 30)]
        seconds: u64,
        /// NAME=PROGRAM ARGUMENT…: another system to do the same, on Kafka.
        #[arg(long = "peer")]
        peers: Vec<Peer>,
    },
    /// A worker's start to its first round.
    Start {
        /// How often; the first on the fresh log.
        #[arg(long, default_value_t = 7)]
        repetitions: u32,
    },
    /// `kill -9` of a worker under load to its next round, the same instance restarted.
    Restart(Kills),
    /// `kill -9` of one of two instances under load, to the first rounds of its tasks by the other.
    Takeover {
        /// Each time while a transaction of its own is open: the other waits until the broker has ended it.
        #[arg(long)]
        open_transaction: bool,
        #[command(flatten)]
        kills: Kills,
    },
    /// Resident memory of `tapewatch up`, a process of its own, under R at a steady rate.
    Memory {
        /// Events a second.
        #[arg(long, default_value_t = 10_000)]
        rate: u64,
        /// For so long.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
    },
    /// What a fill costs the risk worker by window and symbols, and what a portfolio takes of memory.
    Cost {
        /// Portfolios of one task.
        #[arg(long, default_value_t = 10_000)]
        portfolios: usize,
        /// Draw the costs into this file (SVG).
        #[arg(long)]
        picture: Option<std::path::PathBuf>,
    },
    /// A round of records and positions through the log's writer.
    Transaction {
        /// How often.
        #[arg(long, default_value_t = 500)]
        rounds: u32,
        /// Records of 300 B in each.
        #[arg(long, default_value_t = 10)]
        records: u32,
    },
}

#[derive(clap::Args)]
struct Kills {
    /// Events a second of R meanwhile.
    #[arg(long, default_value_t = 1_000)]
    rate: u64,
    /// Seconds of work before each kill.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How often.
    #[arg(long, default_value_t = 20)]
    repetitions: u32,
}

impl Kills {
    fn load(&self) -> restart::Load {
        restart::Load { rate: self.rate, seconds: self.seconds, repetitions: self.repetitions }
    }
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let url = arguments.log.unwrap_or_else(|| format!("sqlite:{}", folder.path().join("bench.db").display()));
    let report = match arguments.what {
        What::R { events, rate, seconds } => {
            let events = rate.map_or(events, |rate| rate * seconds);
            r::run(&url, r::Extent { events, rate })?
        }
        What::Replay { events } => replay::run(&url, events)?,
        What::JobE { records, repetitions, peers } => job_e::run(&url, records, repetitions, &peers)?,
        What::Latency { rate, seconds, peers } => latency::run(&url, rate, seconds, &peers)?,
        What::Start { repetitions } => start::run(&url, repetitions)?,
        What::Restart(kills) => restart::run(&url, kills.load())?,
        What::Takeover { open_transaction, kills } => {
            restart::takeover(&url, kills.load(), open_transaction)?
        }
        What::Cost { portfolios, picture } => cost::run(portfolios, picture.as_deref())?,
        What::Memory { rate, seconds } => memory::run(&url, rate, seconds)?,
        What::Transaction { rounds, records } => transaction::run(&url, rounds, records)?,
    };
    if arguments.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.table());
    }
    Ok(())
}
