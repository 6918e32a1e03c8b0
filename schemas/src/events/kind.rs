use super::Event;
use crate::catalogue as c;

/// Which event: one per topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// `market.data.v1`
    MarketData,
    /// `signals.v1`
    Signal,
    /// `exec.reports.v1`
    ExecReport,
    /// `positions.v1`
    Position,
    /// `accounts.v1`
    Account,
    /// `heartbeats.v1`
    Heartbeat,
    /// `risk.metrics.v1`
    RiskMetrics,
    /// `holdings.v1`
    Holdings,
    /// `system.health.v1`
    SystemHealth,
    /// `alerts.v1`
    Alert,
    /// `control.v1`
    Control,
    /// `control.requests.v1`
    ControlRequest,
}

impl EventKind {
    /// Every kind, in the catalogue's order.
    pub const ALL: [Self; 12] = [
        Self::MarketData,
        Self::Signal,
        Self::ExecReport,
        Self::Position,
        Self::Account,
        Self::Heartbeat,
        Self::RiskMetrics,
        Self::Holdings,
        Self::SystemHealth,
        Self::Alert,
        Self::Control,
        Self::ControlRequest,
    ];

    /// The kind that a topic carries; none if it carries no events of this release.
    pub fn of_topic(topic: &str) -> Option<Self> {
        Some(match topic {
            c::MARKET_DATA => Self::MarketData,
            c::SIGNALS => Self::Signal,
            c::EXEC_REPORTS => Self::ExecReport,
            c::POSITIONS => Self::Position,
            c::ACCOUNTS => Self::Account,
            c::HEARTBEATS => Self::Heartbeat,
            c::RISK_METRICS => Self::RiskMetrics,
            c::HOLDINGS => Self::Holdings,
            c::SYSTEM_HEALTH => Self::SystemHealth,
            c::ALERTS => Self::Alert,
            c::CONTROL => Self::Control,
            c::CONTROL_REQUESTS => Self::ControlRequest,
            _ => return None,
        })
    }

    /// The topic that carries it.
    pub const fn topic(self) -> &'static str {
        match self {
            Self::MarketData => c::MARKET_DATA,
            Self::Signal => c::SIGNALS,
            Self::ExecReport => c::EXEC_REPORTS,
            Self::Position => c::POSITIONS,
            Self::Account => c::ACCOUNTS,
            Self::Heartbeat => c::HEARTBEATS,
            Self::RiskMetrics => c::RISK_METRICS,
            Self::Holdings => c::HOLDINGS,
            Self::SystemHealth => c::SYSTEM_HEALTH,
            Self::Alert => c::ALERTS,
            Self::Control => c::CONTROL,
            Self::ControlRequest => c::CONTROL_REQUESTS,
        }
    }

    /// The text of its current schema: `schemas/avsc/<topic>.avsc`.
    pub const fn schema_text(self) -> &'static str {
        match self {
            Self::MarketData => include_str!("../../avsc/market.data.v1.avsc"),
            Self::Signal => include_str!("../../avsc/signals.v1.avsc"),
            Self::ExecReport => include_str!("../../avsc/exec.reports.v1.avsc"),
            Self::Position => include_str!("../../avsc/positions.v1.avsc"),
            Self::Account => include_str!("../../avsc/accounts.v1.avsc"),
            Self::Heartbeat => include_str!("../../avsc/heartbeats.v1.avsc"),
            Self::RiskMetrics => include_str!("../../avsc/risk.metrics.v1.avsc"),
            Self::Holdings => include_str!("../../avsc/holdings.v1.avsc"),
            Self::SystemHealth => include_str!("../../avsc/system.health.v1.avsc"),
            Self::Alert => include_str!("../../avsc/alerts.v1.avsc"),
            Self::Control => include_str!("../../avsc/control.v1.avsc"),
            Self::ControlRequest => include_str!("../../avsc/control.requests.v1.avsc"),
        }
    }
}

impl Event {
    /// Which event it is.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::MarketData(_) => EventKind::MarketData,
            Self::Signal(_) => EventKind::Signal,
            Self::ExecReport(_) => EventKind::ExecReport,
            Self::Position(_) => EventKind::Position,
            Self::Account(_) => EventKind::Account,
            Self::Heartbeat(_) => EventKind::Heartbeat,
            Self::RiskMetrics(_) => EventKind::RiskMetrics,
            Self::Holdings(_) => EventKind::Holdings,
            Self::SystemHealth(_) => EventKind::SystemHealth,
            Self::Alert(_) => EventKind::Alert,
            Self::Control(_) => EventKind::Control,
            Self::ControlRequest(_) => EventKind::ControlRequest,
        }
    }

    /// The topic it belongs to.
    pub const fn topic(&self) -> &'static str {
        self.kind().topic()
    }
}
