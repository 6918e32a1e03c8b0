//! Opening a producer's spool, and saying what becomes of it.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use tapewatch_config::Settings;
use tapewatch_consumers::registry::edge;
use tapewatch_eventlog::Log;
use tapewatch_producers::spool::{Courier, SpoolError, SpoolOptions};

/// The courier that a command is to write through: with a spool in the folder that it names, or, for Kafka, in the
/// one that the settings name. None if there is no spool.
pub(crate) fn open(
    settings: &Settings,
    dir: Option<&Path>,
    log: &Arc<dyn Log>,
    (name, id): (&str, Option<&str>),
) -> Result<Option<Courier>, SpoolError> {
    let spool = &settings.producer.spool;
    let configured = spool.dir.as_deref().filter(|_| log.address().starts_with("kafka:"));
    let Some(dir) = dir.or(configured) else { return Ok(None) };
    let options = SpoolOptions {
        id: id.map(str::to_owned),
        max_bytes: spool.max_bytes,
        edge: edge(&spool.breaker),
        ..SpoolOptions::new(dir, name)
    };
    let told = Arc::new(|notice: &_| {
        // What cannot be shown is not missed: the counts are in the command's own last words.
        let _ = writeln!(io::stderr(), "{notice}");
    });
    Courier::open(log, &options, told).map(Some)
}
