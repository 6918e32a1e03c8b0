//! The alerting monitor: rules over risk figures, limit states, the pipeline's health and heartbeats.

mod parameters;

pub use parameters::{AlertingParameters, Comparison, Condition, Grace, Pattern, Rule, default_rules};

use tapewatch_schemas::Time;

use crate::monitor::{Monitor, Output, Refusal, Seen, SourceChange, StateError};

/// The alerts of one task.
#[derive(Debug)]
pub struct AlertingMonitor {
    parameters: AlertingParameters,
}

impl AlertingMonitor {
    /// A monitor that has seen nothing.
    pub fn new(parameters: AlertingParameters) -> Self {
        Self { parameters }
    }

    /// What it was told.
    pub fn parameters(&self) -> &AlertingParameters {
        &self.parameters
    }
}

impl Monitor for AlertingMonitor {
    fn observe(&mut self, _seen: &Seen<'_>, _out: &mut Vec<Output>) -> Result<(), Refusal> {
        Ok(())
    }

    fn source(&mut self, _change: &SourceChange, _out: &mut Vec<Output>) {}

    fn tick(&mut self, _now: Time, _out: &mut Vec<Output>) {}

    fn next_deadline(&self) -> Option<Time> {
        None
    }

    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _state: &[u8]) -> Result<(), StateError> {
        Ok(())
    }
}
