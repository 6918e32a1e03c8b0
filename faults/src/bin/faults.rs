//! What breaks the workers on purpose, as a command.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tapewatch_faults::run::{Plan, simulate};

/// Breaks the workers on purpose, and checks what must hold all the same.
#[derive(Parser)]
#[command(name = "tapewatch-faults")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Simulates worlds in which everything goes wrong, each from a seed. Ends with exit code 1 if anything
    /// does not hold, and names the seeds.
    Simulate {
        /// How many seeds; 0 for as many as there are until it is stopped.
        #[arg(long, default_value_t = 1_000)]
        seeds: u64,
        /// The first seed.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// This seed alone, with the digest of its history.
        #[arg(long, conflicts_with_all = ["seeds", "from", "for"])]
        seed: Option<u64>,
        /// With --seed: the history itself, line by line.
        #[arg(long, requires = "seed")]
        history: bool,
        /// As many seeds as there are in this time: 8h, 30m.
        #[arg(long, value_parser = duration, conflicts_with = "seeds")]
        r#for: Option<Duration>,
        /// Simulations at the same time; as many as there are processors if not given.
        #[arg(long)]
        threads: Option<usize>,
        /// One JSON object a finding, and one with the totals, instead of text.
        #[arg(long)]
        json: bool,
    },
}

/// `8h`, `30m`, `90s`.
fn duration(text: &str) -> Result<Duration, String> {
    let expected =
        || format!("`{text}` is not a duration; expected a whole number and s, m or h, such as 8h");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(expected)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(expected()),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(expected)
}

fn main() -> ExitCode {
    let What::Simulate { seeds, from, seed, history, r#for, threads, json } = Arguments::parse().what;
    let plan = match seed {
        Some(seed) => Plan { first: seed, last: Some(seed), history, json, single: true, ..Plan::default() },
        None => Plan {
            first: from,
            last: (r#for.is_none() && seeds > 0).then(|| from.saturating_add(seeds - 1)),
            within: r#for,
            threads,
            json,
            ..Plan::default()
        },
    };
    match simulate(&plan) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("tapewatch-faults: {error}");
            ExitCode::from(4)
        }
    }
}
