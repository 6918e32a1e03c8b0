//! `tapewatch up`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use prometheus::Registry;
use tapewatch_config::{Clock, Settings};
use tapewatch_consumers::run::{Deps, run as run_worker};
use tapewatch_consumers::shutdown::Shutdown;
use tapewatch_consumers::{WorkerError, telemetry, workers};

use crate::{Access, CliError, Context};

/// What to run.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What time it is for a task: the wall's once its sources are caught up, or the tape's alone
    #[arg(long, value_name = "wall|tape", value_parser = clock)]
    clock: Option<Clock>,
    /// Do not make topics that are missing: a missing one is an error
    #[arg(long)]
    no_create: bool,
}

fn clock(text: &str) -> Result<Clock, String> {
    match text {
        "wall" => Ok(Clock::Wall),
        "tape" => Ok(Clock::Tape),
        other => Err(format!("`{other}` is no clock: expected wall or tape")),
    }
}

/// Runs every worker, a thread each, until Ctrl-C. A worker that fails stops the others.
pub fn run(args: Args, context: &Context) -> Result<ExitCode, CliError> {
    let shutdown = Shutdown::on_signals()?;
    let mut settings = context.settings()?;
    if let Some(clock) = args.clock {
        settings.runtime.clock = clock;
    }
    let _telemetered =
        telemetry::init(&settings.telemetry).map_err(|error| CliError::Usage(error.to_string()))?;
    let log = context.open(&settings, Access::Create)?;
    let settings = Arc::new(settings);
    let (ended, ends) = channel();
    let mut threads = Vec::new();
    for worker in workers::wanted(&settings) {
        let deps = Deps {
            worker,
            settings: Arc::new(of_worker(&settings, worker)),
            log: Arc::clone(&log),
            registry: Registry::new(),
            create_topics: !args.no_create,
            announce: Some(Box::new(move |address| {
                // Nobody is left to tell if standard error is gone.
                let _ = writeln!(io::stderr(), "{worker}: http://{address}/status");
            })),
        };
        let (ended, shutdown) = (ended.clone(), shutdown.clone());
        let body = move || {
            let result = run_worker(deps, &shutdown);
            // The receiver outlives every worker.
            let _ = ended.send(result);
        };
        threads.push(thread::Builder::new().name(worker.to_owned()).spawn(body)?);
    }
    drop(ended);
    let mut first: Option<WorkerError> = None;
    for result in ends {
        shutdown.request();
        if let Err(error) = result {
            first.get_or_insert(error);
        }
    }
    for thread in threads {
        if thread.join().is_err() {
            return Err(CliError::Failed("a worker's thread died; its last words are above".to_owned()));
        }
    }
    first.map_or(Ok(ExitCode::SUCCESS), |error| Err(CliError::Worker(error)))
}

/// Two workers cannot listen on one port: only a free one serves both.
fn of_worker(settings: &Settings, worker: &str) -> Settings {
    let mut own = settings.clone();
    if worker != workers::NAMES[0]
        && let Some((host, port)) = own.runtime.admin.rsplit_once(':')
        && let Ok(port @ 1..) = port.parse::<u16>()
    {
        let place = workers::NAMES.iter().position(|name| *name == worker).unwrap_or(0);
        own.runtime.admin = format!("{host}:{}", port.saturating_add(place as u16));
    }
    own
}
