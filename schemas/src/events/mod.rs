//! The records of every topic, a noun a file.

mod account;
mod alert;
mod control;
mod exec_report;
mod heartbeat;
mod holdings;
mod kind;
mod market_data;
mod position;
mod provenance;
mod risk_metrics;
mod signal;
mod system_health;

pub use account::Account;
pub use alert::{Alert, AlertState, Severity};
pub use control::{Control, ControlAction, ControlRequest, RequestKind, TradingLevel};
pub use exec_report::{ExecReport, ExecType, Liquidity, OrderStatus, OrderType, Side};
pub use heartbeat::{Heartbeat, Progress};
pub use holdings::{Conduct, Holding, Holdings, Profit, Standing};
pub use kind::EventKind;
pub use market_data::MarketData;
pub use position::{Position, PositionLine};
pub use provenance::{Cause, Provenance};
pub use risk_metrics::{
    LimitLevel, LimitOverride, LimitState, LimitStatus, Measure, Occasion, RiskMetrics, Unknown,
};
pub use signal::Signal;
pub use system_health::{HealthKind, HealthStatus, SystemHealth};

use crate::Time;
use crate::names::SourceId;

/// One decoded record of any topic that this release reads or writes.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a box would cost every execution report an allocation")]
pub enum Event {
    /// `market.data.v1`
    MarketData(MarketData),
    /// `signals.v1`
    Signal(Signal),
    /// `exec.reports.v1`
    ExecReport(ExecReport),
    /// `positions.v1`
    Position(Position),
    /// `accounts.v1`
    Account(Account),
    /// `heartbeats.v1`
    Heartbeat(Heartbeat),
    /// `risk.metrics.v1`
    RiskMetrics(RiskMetrics),
    /// `holdings.v1`
    Holdings(Holdings),
    /// `system.health.v1`
    SystemHealth(SystemHealth),
    /// `alerts.v1`
    Alert(Alert),
    /// `control.v1`
    Control(Control),
    /// `control.requests.v1`
    ControlRequest(ControlRequest),
}

impl Event {
    /// When it happened, by its writer.
    pub fn event_time(&self) -> Time {
        match self {
            Self::MarketData(e) => e.event_time,
            Self::Signal(e) => e.event_time,
            Self::ExecReport(e) => e.event_time,
            Self::Position(e) => e.event_time,
            Self::Account(e) => e.event_time,
            Self::Heartbeat(e) => e.event_time,
            Self::RiskMetrics(e) => e.event_time,
            Self::Holdings(e) => e.event_time,
            Self::SystemHealth(e) => e.event_time,
            Self::Alert(e) => e.event_time,
            Self::Control(e) => e.event_time,
            Self::ControlRequest(e) => e.event_time,
        }
    }

    /// The record's key: the id or scope in its body.
    pub fn key(&self) -> &str {
        match self {
            Self::MarketData(e) => e.symbol.as_str(),
            Self::Signal(e) => e.portfolio.as_str(),
            Self::ExecReport(e) => e.portfolio.as_str(),
            Self::Position(e) => e.portfolio.as_str(),
            Self::Account(e) => e.portfolio.as_str(),
            Self::Heartbeat(e) => e.source.as_str(),
            Self::RiskMetrics(e) => e.scope.as_str(),
            Self::Holdings(e) => e.portfolio.as_str(),
            Self::SystemHealth(e) => &e.component,
            Self::Alert(e) => &e.fingerprint,
            Self::Control(e) => e.scope.as_str(),
            Self::ControlRequest(e) => e.scope.as_str(),
        }
    }

    /// Source and sequence of an input record; derived records carry a [`Provenance`] instead.
    pub fn origin(&self) -> Option<(&SourceId, i64)> {
        match self {
            Self::MarketData(e) => Some((&e.source, e.sequence)),
            Self::Signal(e) => Some((&e.source, e.sequence)),
            Self::ExecReport(e) => Some((&e.source, e.sequence)),
            Self::Position(e) => Some((&e.source, e.sequence)),
            Self::Account(e) => Some((&e.source, e.sequence)),
            Self::Heartbeat(e) => Some((&e.source, e.sequence)),
            Self::ControlRequest(e) => Some((&e.source, e.sequence)),
            Self::RiskMetrics(_)
            | Self::Holdings(_)
            | Self::SystemHealth(_)
            | Self::Alert(_)
            | Self::Control(_) => None,
        }
    }

    /// A derived record's own part, if it is one.
    pub fn derived(&mut self) -> Option<Derived<'_>> {
        match self {
            Self::RiskMetrics(e) => Some(Derived { provenance: &mut e.provenance, id: &mut e.id }),
            Self::Holdings(e) => Some(Derived { provenance: &mut e.provenance, id: &mut e.id }),
            Self::SystemHealth(e) => Some(Derived { provenance: &mut e.provenance, id: &mut e.id }),
            Self::Alert(e) => Some(Derived { provenance: &mut e.provenance, id: &mut e.id }),
            Self::Control(e) => Some(Derived { provenance: &mut e.provenance, id: &mut e.id }),
            _ => None,
        }
    }

    /// A derived record's id, if it is one.
    pub fn record_id(&self) -> Option<crate::RecordId> {
        match self {
            Self::RiskMetrics(e) => Some(e.id),
            Self::Holdings(e) => Some(e.id),
            Self::SystemHealth(e) => Some(e.id),
            Self::Alert(e) => Some(e.id),
            Self::Control(e) => Some(e.id),
            _ => None,
        }
    }
}

/// What the runtime fills in on every derived record.
#[derive(Debug)]
pub struct Derived<'a> {
    /// Where the record came from.
    pub provenance: &'a mut Provenance,
    /// Its id.
    pub id: &'a mut crate::RecordId,
}
