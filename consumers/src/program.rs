//! What every worker program does: reads its arguments and settings, opens the log, runs its worker.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use prometheus::Registry;
use tapewatch_config::{ConfigErrors, Settings};
use tapewatch_eventlog::{LogError, OpenOptions, open};

use crate::run::{Deps, run};
use crate::shutdown::Shutdown;
use crate::telemetry::{self, TelemetryError};
use crate::{WorkerError, exit};

/// The settings' file that is read without being named.
const FILE: &str = "tapewatch.toml";

/// One tapewatch worker, until SIGTERM or Ctrl-C: it then finishes its round, commits and leaves its group.
#[derive(Debug, Parser)]
#[command(version, after_help = exit::TABLE)]
struct Arguments {
    /// The log: sqlite:PATH or kafka:HOST:PORT,HOST:PORT… [default: log.url of the settings]
    #[arg(long, value_name = "URL", env = "TAPEWATCH_LOG", hide_env_values = true)]
    log: Option<String>,
    /// The settings' file [default: tapewatch.toml here, if it is there]
    #[arg(long, value_name = "FILE", env = "TAPEWATCH_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// The environment over the file: demo, kafka, or one of your own
    #[arg(long = "env", value_name = "NAME", env = "TAPEWATCH_ENV", hide_env_values = true)]
    environment: Option<String>,
    /// The instance's stable name: the same after a restart, another for each process [default: host.worker]
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
    /// Where /healthz, /readyz, /metrics and /status answer [default: runtime.admin of the settings]
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<String>,
    /// Do not make topics that are missing: a missing one is an error
    #[arg(long)]
    no_create: bool,
}

/// What ends a program.
#[derive(Debug, thiserror::Error)]
enum ProgramError {
    #[error("the configuration is wrong:\n{0}")]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("cannot listen to signals: {0}")]
    Signals(#[from] io::Error),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

impl ProgramError {
    fn exit(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Telemetry(_) => exit::CONFIGURATION,
            Self::Signals(error) => exit::of_io(error),
            Self::Log(error) => exit::of_log(error),
            Self::Worker(error) => exit::of_worker(error),
        }
    }
}

/// The whole of a worker's `main`.
pub fn main(worker: &'static str) -> ExitCode {
    match work(worker, Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if standard error is gone too.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(error.exit())
        }
    }
}

fn work(worker: &'static str, arguments: Arguments) -> Result<(), ProgramError> {
    let shutdown = Shutdown::on_signals()?;
    let create_topics = !arguments.no_create;
    let settings = settings(arguments)?;
    let _telemetered = telemetry::init(&settings.telemetry)?;
    let log = open(&settings.log.url, &open_options(&settings))?;
    let settings = Arc::new(settings);
    let deps = Deps { worker, settings, log, registry: Registry::new(), create_topics, announce: None };
    Ok(run(deps, &shutdown)?)
}

fn settings(arguments: Arguments) -> Result<Settings, ConfigErrors> {
    let here = || Path::new(FILE).is_file().then(|| PathBuf::from(FILE));
    let file = arguments.config.or_else(here);
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let variables = env::vars_os().filter_map(text);
    let mut settings = Settings::load(file.as_deref(), arguments.environment.as_deref(), variables)?;
    if let Some(url) = arguments.log {
        settings.log.url = url;
    }
    if let Some(address) = arguments.admin {
        settings.runtime.admin = address;
    }
    settings.runtime.instance = arguments.instance.or(settings.runtime.instance);
    Ok(settings)
}

/// How the settings want a log to be opened.
pub fn open_options(settings: &Settings) -> OpenOptions {
    OpenOptions {
        busy_timeout: settings.log.busy_timeout,
        kafka: settings.log.kafka.librdkafka(),
        ..OpenOptions::default()
    }
}
