//! Log lines: to standard error, and to a rotating file if the settings name one.

use std::io;
use std::path::PathBuf;

use tapewatch_config::{LogFile, LogFormat, LogLevel, Rotation as Period, Telemetry};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{InitError, RollingFileAppender, Rotation};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{filter::Targets, fmt};

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log file.
    #[error("telemetry.file.path: {} cannot be written: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: InitError,
    },
    /// The process logs already.
    #[error("telemetry was set up before: {0}")]
    Twice(#[from] TryInitError),
}

/// Keeps the log file's writing thread; lines that are still queued are written when it is dropped.
#[derive(Debug)]
#[must_use = "log lines to the file stop when it is dropped"]
pub struct Telemetered(#[allow(dead_code, reason = "held for its drop")] Option<WorkerGuard>);

/// Sets the process up to log as the settings say: ours from `telemetry.level` on, libraries' warnings.
///
/// # Errors
/// If the file cannot be opened, or the process logs already.
pub fn init(settings: &Telemetry) -> Result<Telemetered, TelemetryError> {
    let (file, guard) = match &settings.file {
        None => (None, None),
        Some(file) => {
            // The queue is bounded; where the disk cannot keep up, lines are dropped and not the work.
            let (writer, guard) = tracing_appender::non_blocking(appender(file)?);
            (Some(layer(settings.format, writer, false)), Some(guard))
        }
    };
    let colour = io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::registry()
        .with(file.into_iter().chain([layer(settings.format, io::stderr, colour)]).collect::<Vec<_>>())
        .with(targets(settings.level))
        .try_init()?;
    Ok(Telemetered(guard))
}

fn appender(file: &LogFile) -> Result<RollingFileAppender, TelemetryError> {
    let folder = file.path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let name = file.path.file_name().unwrap_or_default().to_string_lossy();
    RollingFileAppender::builder()
        .rotation(match file.rotation {
            Period::Daily => Rotation::DAILY,
            Period::Hourly => Rotation::HOURLY,
            Period::Never => Rotation::NEVER,
        })
        .filename_prefix(name)
        .max_log_files(file.keep as usize)
        .build(folder.unwrap_or(std::path::Path::new(".")))
        .map_err(|why| TelemetryError::File { path: file.path.clone(), why })
}

fn layer<S, W>(format: LogFormat, writer: W, colour: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer).with_ansi(colour).with_target(false);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("tapewatch", level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_json_lines_and_says_where_it_cannot_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.log");
        let file = LogFile { path, rotation: Period::Never, keep: 2 };
        let (writer, guard) = tracing_appender::non_blocking(appender(&file).unwrap());
        let subscriber = tracing_subscriber::Registry::default().with(layer(LogFormat::Json, writer, false));
        tracing::subscriber::with_default(subscriber, || tracing::info!(worker = "risk", "hello"));
        drop(guard);
        let text = std::fs::read_to_string(&file.path).unwrap();
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!((&line["worker"], &line["message"]), (&"risk".into(), &"hello".into()));

        let below_a_file = LogFile { path: file.path.join("deeper.log"), ..file };
        let problem = appender(&below_a_file).unwrap_err().to_string();
        assert!(problem.contains("deeper.log"), "{problem}");
    }
}
