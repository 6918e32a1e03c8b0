//! The risk monitor: positions from fills, marks, exposures, drawdown, historical VaR and ES, limits.

mod parameters;

pub use parameters::{
    Basis, Bounded, Bounds, Confidence, Freshness, Instrument, LimitParameters, RiskParameters, Sampling,
    WindowParameters, default_limits,
};

use tapewatch_schemas::Time;

use crate::monitor::{Monitor, Output, Refusal, Seen, SourceChange, StateError};

/// What the runtime knows about the task that a monitor serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskContext {
    /// The task: the partition number of its co-partitioned inputs.
    pub partition: i32,
    /// True if the partition of `exec.reports.v1` was read from its offset 0: every book is then open from
    /// its first event.
    pub opened_from_zero: bool,
}

/// The risk of every portfolio of one task.
#[derive(Debug)]
pub struct RiskMonitor {
    parameters: RiskParameters,
    task: TaskContext,
}

impl RiskMonitor {
    /// A monitor that has seen nothing.
    pub fn new(parameters: RiskParameters, task: TaskContext) -> Self {
        Self { parameters, task }
    }

    /// What it was told.
    pub fn parameters(&self) -> &RiskParameters {
        &self.parameters
    }
}

impl Monitor for RiskMonitor {
    fn observe(&mut self, _seen: &Seen<'_>, _out: &mut Vec<Output>) -> Result<(), Refusal> {
        Ok(())
    }

    fn source(&mut self, _change: &SourceChange, _out: &mut Vec<Output>) {}

    fn tick(&mut self, _now: Time, _out: &mut Vec<Output>) {}

    fn next_deadline(&self) -> Option<Time> {
        None
    }

    fn save(&self) -> Vec<u8> {
        vec![u8::from(self.task.opened_from_zero)]
    }

    fn restore(&mut self, _state: &[u8]) -> Result<(), StateError> {
        Ok(())
    }
}
