//! The settings: one TOML file, an environment over it, `TAPEWATCH_…` variables over both.
//!
//! [`Settings::load`] reads them, collects every error with its path and place, and [`Settings::version`]
//! names the part of them that outputs depend on. A leaf: it knows no other tapewatch crate.

mod alerting;
mod breaker;
mod condition;
mod conduct;
mod day;
mod dead_letters;
mod described;
mod environment;
mod error;
mod firm;
mod instruments;
mod layer;
mod librdkafka;
mod limit;
mod liquidity;
mod log;
mod overrides;
mod prices;
mod producer;
mod rates;
mod registry;
mod risk;
mod rule;
mod runtime;
mod schedule;
mod schemas;
mod section;
mod settings;
mod show;
mod stress;

mod telemetry;
mod tls;
mod topics;
mod value;
mod variables;
mod version;
mod window;

pub use alerting::{Alerting, Control, Grace, Person};
pub use breaker::Breaker;
pub use condition::{Comparison, Condition, HealthKind, HealthStatus, LimitStatus, On, Restriction};
pub use conduct::Conduct;
pub use day::{Day, Zone};
pub use dead_letters::{DeadLetters, HOLDABLE, OnDeadLetter};
pub use error::{ConfigError, ConfigErrors, Origin};
pub use firm::{Firm, FirmLimit, FirmScope};
pub use instruments::Instrument;
pub use limit::{Action, Limit, Of};
pub use liquidity::Liquidity;
pub use log::{Kafka, Log, Mechanism, Sasl, Security};
pub use overrides::{Instant, Override};
pub use prices::Prices;
pub use producer::{Producer, Spool};
pub use rates::Rate;
pub use registry::{Edge, Registry, Subjects};
pub use risk::{
    Basis, Bounds, Freshness, History, PnlMethod, Risk, Sampling, Shortfall, TailModel, ValueAtRisk,
};
pub use rule::{Rule, Severity};
pub use runtime::{Clock, Runtime, Start};
pub use schedule::{Schedule, Weekday, When};
pub use schemas::SchemaFile;
pub use settings::Settings;
pub use stress::{Range, Shock, ShockedMarket, Stress};
pub use telemetry::{LogFile, LogFormat, LogLevel, Rotation, Telemetry};
pub use tls::Tls;
pub use topics::{Partitioner, Topics};
pub use value::Secret;
pub use version::ConfigurationVersion;
pub use window::WindowLength;
