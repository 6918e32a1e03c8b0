/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A person buys more of one symbol than the limit allows, and sells it two hours later.
    PositionOverLimit,
    /// A loop buys high and sells low until over 20 % of the peak equity is lost.
    Drawdown,
    /// The marks of one partition stop for five hours, and the heartbeats say nothing about it.
    StoppedFeed,
    /// Three records that cannot be decoded, an hour apart.
    PoisonRecords,
    /// 500 records that cannot be decoded, within a minute.
    PoisonBurst,
    /// The report of a fill comes twice.
    DuplicatedFill,
    /// The report of a fill never comes.
    LostFill,
    /// An order is sent six minutes after its decision, and its fill is reported 25 minutes late.
    LateExecution,
    /// An order is decided in the middle of a bar.
    OffBoundaryExecution,
    /// An order is filled 60 basis points worse than the market at its arrival.
    Slip,
    /// A symbol's own variation quadruples.
    RegimeChange,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::PositionOverLimit,
        Self::Drawdown,
        Self::StoppedFeed,
        Self::PoisonRecords,
        Self::PoisonBurst,
        Self::DuplicatedFill,
        Self::LostFill,
        Self::LateExecution,
        Self::OffBoundaryExecution,
        Self::Slip,
        Self::RegimeChange,
    ];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PositionOverLimit => "position_over_limit",
            Self::Drawdown => "drawdown",
            Self::StoppedFeed => "stopped_feed",
            Self::PoisonRecords => "poison_records",
            Self::PoisonBurst => "poison_burst",
            Self::DuplicatedFill => "duplicated_fill",
            Self::LostFill => "lost_fill",
            Self::LateExecution => "late_execution",
            Self::OffBoundaryExecution => "off_boundary_execution",
            Self::Slip => "slip",
            Self::RegimeChange => "regime_change",
        }
    }

    /// The worker whose task it is to find it; none while there is no such monitor.
    pub const fn monitor(self) -> Option<&'static str> {
        match self {
            Self::PositionOverLimit
            | Self::Drawdown
            | Self::StoppedFeed
            | Self::PoisonRecords
            | Self::PoisonBurst => Some("risk"),
            Self::DuplicatedFill
            | Self::LostFill
            | Self::LateExecution
            | Self::OffBoundaryExecution
            | Self::Slip
            | Self::RegimeChange => None,
        }
    }
}
