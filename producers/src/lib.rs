//! What writes inputs: the tape player with its reference strategy and incident book, and publishers.
//!
//! [`Player`] turns a [`Tape`] into [`Slice`]s of events, the same for the same seed, byte for byte.
//! [`play`] writes them to a log, each slice in one transaction; [`EventPublisher`] writes anyone's events.
//! Either may have a [`spool`] for the time that the log is away.

mod incidents;
mod market;
mod money;
mod options;
mod outlet;
mod player;
mod publish;
mod random;
mod slice;
pub mod spool;
pub mod tape;
mod trading;

pub use incidents::{
    About, Expectation, Feed, Found, FoundAlert, Incident, IncidentBook, Kind, Says, Silence, Stopped,
    Untimely, Untold, Verdict, Witness,
};
pub use options::{Layout, PlayerError, PlayerOptions, SIM_SOURCE, TAPE_SOURCE};
pub use player::Player;
pub use publish::{
    EventPublisher, PLAYER_ID, Pace, PlayError, Played, PublishError, SliceError, SliceWriter, play,
    play_through,
};
pub use slice::{Body, Slice, SliceRecord};
pub use tape::{BAR, BadLine, Bar, Tape, TapeError, TapeReport};
