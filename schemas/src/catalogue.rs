//! Every topic: its name, key, partitions, retention, compaction and who must be cut alike.

/// Marks. Key: symbol.
pub const MARKET_DATA: &str = "market.data.v1";
/// What strategies wanted. Key: portfolio.
pub const SIGNALS: &str = "signals.v1";
/// Order and fill reports. Key: portfolio.
pub const EXEC_REPORTS: &str = "exec.reports.v1";
/// What the trading system believes it holds. Key: portfolio.
pub const POSITIONS: &str = "positions.v1";
/// Money. Key: portfolio.
pub const ACCOUNTS: &str = "accounts.v1";
/// Signs of life. Key: source.
pub const HEARTBEATS: &str = "heartbeats.v1";
/// Risk figures and limit states. Key: scope.
pub const RISK_METRICS: &str = "risk.metrics.v1";
/// Whole books. Key: portfolio.
pub const HOLDINGS: &str = "holdings.v1";
/// Health of the pipeline. Key: component.
pub const SYSTEM_HEALTH: &str = "system.health.v1";
/// Alerts. Key: fingerprint.
pub const ALERTS: &str = "alerts.v1";
