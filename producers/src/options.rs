//! What a player is asked to play.

use tapewatch_schemas::catalogue::{ACCOUNTS, EXEC_REPORTS, HEARTBEATS, MARKET_DATA, POSITIONS, SIGNALS};
use tapewatch_schemas::partition::Partitioner;

/// The source that writes marks.
pub const TAPE_SOURCE: &str = "tape";
/// The source that writes signals, reports, positions and accounts.
pub const SIM_SOURCE: &str = "sim";

/// The topics that are cut by portfolio.
pub(crate) const TRADING: [&str; 4] = [ACCOUNTS, EXEC_REPORTS, POSITIONS, SIGNALS];

/// How the topics of a log are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Partitions of the topics that are cut by portfolio.
    pub partitions: u32,
    /// Partitions of `market.data.v1`.
    pub market_partitions: u32,
    /// Partitions of `heartbeats.v1`.
    pub heartbeat_partitions: u32,
    /// How keys are spread.
    pub partitioner: Partitioner,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            partitions: 4,
            market_partitions: 4,
            heartbeat_partitions: 1,
            partitioner: Partitioner::Murmur2,
        }
    }
}

impl Layout {
    /// How many partitions a topic has.
    pub fn count(&self, topic: &str) -> u32 {
        match topic {
            MARKET_DATA => self.market_partitions,
            HEARTBEATS => self.heartbeat_partitions,
            _ => self.partitions,
        }
    }

    /// The partition of a key.
    pub fn partition(&self, topic: &str, key: &str) -> i32 {
        self.partitioner.assign(key.as_bytes(), self.count(topic)) as i32
    }
}

/// What to play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayerOptions {
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// How many symbols are traded, at least 1. The first is the tape's own.
    pub symbols: usize,
    /// How many portfolios trade them, at least 1.
    pub portfolios: usize,
    /// How many symbols each portfolio trades, at most [`PlayerOptions::symbols`].
    pub symbols_per_portfolio: usize,
    /// True if the incident book is played.
    pub incidents: bool,
    /// At most so many bars, from the start of the tape; all if none.
    pub bars: Option<usize>,
    /// How many bars make a slice, at least 1.
    pub bars_per_slice: usize,
    /// How the topics are cut.
    pub layout: Layout,
}

impl Default for PlayerOptions {
    fn default() -> Self {
        Self {
            seed: 7,
            symbols: 8,
            portfolios: 6,
            symbols_per_portfolio: 4,
            incidents: false,
            bars: None,
            bars_per_slice: 16,
            layout: Layout::default(),
        }
    }
}

/// Why it cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlayerError {
    /// An option is zero that may not be.
    #[error("`{0}` must be at least 1")]
    Zero(&'static str),
    /// An option is larger than what the player is built for.
    #[error("`{name}` is {given}; at most {most} can be played")]
    TooMany {
        /// The option.
        name: &'static str,
        /// What was given.
        given: usize,
        /// The bound.
        most: usize,
    },
    /// The incident book has no room.
    #[error(
        "the incident book needs {needed} bars, two portfolios and two symbols; there are {bars} bars, \
         {portfolios} portfolios and {symbols} symbols"
    )]
    NoRoom {
        /// Bars to be played.
        bars: usize,
        /// Bars that the book needs.
        needed: usize,
        /// Portfolios to be played.
        portfolios: usize,
        /// Symbols to be played.
        symbols: usize,
    },
}

impl PlayerOptions {
    /// Checks the bounds.
    pub fn check(&self) -> Result<(), PlayerError> {
        for (name, value) in [
            ("symbols", self.symbols),
            ("portfolios", self.portfolios),
            ("symbols_per_portfolio", self.symbols_per_portfolio),
            ("bars_per_slice", self.bars_per_slice),
            ("bars", self.bars.unwrap_or(1)),
            ("partitions", self.layout.partitions as usize),
            ("market_partitions", self.layout.market_partitions as usize),
            ("heartbeat_partitions", self.layout.heartbeat_partitions as usize),
        ] {
            if value == 0 {
                return Err(PlayerError::Zero(name));
            }
        }
        for (name, given, most) in [
            ("symbols", self.symbols, 1000),
            ("portfolios", self.portfolios, 1000),
            ("symbols_per_portfolio", self.symbols_per_portfolio, self.symbols),
        ] {
            if given > most {
                return Err(PlayerError::TooMany { name, given, most });
            }
        }
        Ok(())
    }
}
