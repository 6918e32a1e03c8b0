//! What is in force, as `control.v1` says it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tapewatch_config::Settings;
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::{Log, TopicPartition};
use tapewatch_schemas::Event;
use tapewatch_schemas::catalogue::CONTROL;
use tapewatch_schemas::events::{Control, TradingLevel};

use crate::decoded::Decoder;
use crate::{CliError, topic_name};

/// The last record of every scope.
pub(super) struct Board {
    pub(super) scopes: BTreeMap<String, Control>,
}

impl Board {
    pub(super) fn read(log: &Arc<dyn Log>, settings: &Settings) -> Result<Self, CliError> {
        let decoder = Decoder::new(settings)?;
        let mut scanner = Scanner::new(Arc::clone(log))?;
        let mut scopes = BTreeMap::new();
        for partition in 0..topic_name::partitions(log.as_ref(), CONTROL)? {
            scanner.scan::<CliError>(&TopicPartition::new(CONTROL, partition), 0, |record| {
                let event = decoder.codec().decode(CONTROL, record.value.unwrap_or_default());
                if let Event::Control(control) = event.map_err(|why| {
                    let offset = record.offset;
                    CliError::Input(format!("{CONTROL}/{partition} offset {offset} cannot be read: {why}"))
                })? {
                    // A refusal says again what is in force; of a scope that never was restricted, nothing.
                    if control.problem.is_none() || scopes.contains_key(control.scope.as_str()) {
                        scopes.insert(control.scope.to_string(), control);
                    }
                }
                Ok(())
            })?;
        }
        Ok(Self { scopes })
    }
}

/// A level for people.
pub(super) const fn words(level: TradingLevel) -> &'static str {
    match level {
        TradingLevel::Normal => "trades",
        TradingLevel::ReduceOnly => "may only reduce",
        TradingLevel::Halt => "halted",
    }
}
