//! Playing a tape into a log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use tapewatch_eventlog::{Log, LogError, TopicPartition};
use tapewatch_schemas::catalogue::MARKET_DATA;
use tapewatch_schemas::{Codec, Time};

use super::slices::{SliceError, SliceWriter};
use crate::player::Player;
use crate::spool::Courier;

/// How fast the tape's clock goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as the log takes it.
    Max,
    /// So many seconds of the tape in a second; above 0.
    Times(f64),
}

/// Wall time that one transaction covers at most where a pace is kept.
const STEP: Duration = Duration::from_millis(200);
/// No pace makes the player wait longer: a century.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);
/// A wait looks for the shutdown so often.
const LOOK: Duration = Duration::from_millis(50);

impl std::str::FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        match text.parse::<f64>() {
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Self::Times(times)),
            _ => Err(format!("`{text}` is no pace: write `max`, or a number above 0 (60: an hour a minute)")),
        }
    }
}

/// How far the tape was played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Played {
    /// Everything published before this instant of the tape's clock is written.
    pub until: Time,
    /// Bars played.
    pub bars: usize,
    /// Bars of the tape.
    pub of: usize,
    /// Records written.
    pub records: u64,
    /// Of these, records that wait in the spool and are not on the log.
    pub waiting: u64,
    /// True if the tape was played to its end, and nothing waits.
    pub finished: bool,
}

/// Why a tape was not played to its end.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// A tape was played on this log before: its sequence numbers would be repeated.
    #[error(
        "{at} holds records up to offset {end} already: play onto a fresh log, or create the topics anew"
    )]
    Used {
        /// A partition that is not empty.
        at: TopicPartition,
        /// One past its last offset.
        end: i64,
    },
    /// A slice could not be written.
    #[error(transparent)]
    Slice(#[from] SliceError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Plays what is left of a player into a log, each slice in one transaction (in pieces of at most 200 ms
/// of wall time where a pace is kept), until its end or until `shutdown` is set.
///
/// The log's topics must be there, cut as the player's layout says ([`crate::Layout::of`]).
///
/// # Errors
/// What was written before the error stays written.
pub fn play(
    log: &Arc<dyn Log>,
    codec: Arc<Codec>,
    player: Player,
    pace: Pace,
    progress: impl FnMut(&Played),
    shutdown: &AtomicBool,
) -> Result<Played, PlayError> {
    must_be_unused(log.as_ref(), player.options().layout.market_partitions)?;
    run(SliceWriter::open(log, codec)?, player, pace, progress, shutdown)
}

/// As [`play`], through a spool: what an earlier player left there goes to the log first, and at the end it is
/// waited for until the spool is empty or `shutdown` is set.
///
/// # Errors
/// What was taken before the error is on the log or in the spool.
pub fn play_through(
    courier: Courier,
    log: &Arc<dyn Log>,
    codec: Arc<Codec>,
    player: Player,
    pace: Pace,
    progress: impl FnMut(&Played),
    shutdown: &AtomicBool,
) -> Result<Played, PlayError> {
    courier.drain(Duration::MAX, shutdown);
    must_be_unused(log.as_ref(), player.options().layout.market_partitions)?;
    run(SliceWriter::through(courier, codec), player, pace, progress, shutdown)
}

fn run(
    mut writer: SliceWriter,
    player: Player,
    pace: Pace,
    mut progress: impl FnMut(&Played),
    shutdown: &AtomicBool,
) -> Result<Played, PlayError> {
    let waiting = |writer: &SliceWriter| writer.courier().map_or(0, |courier| courier.counts().waiting);
    let (start, began) = (player.start(), Instant::now());
    let mut played =
        Played { until: start, bars: 0, of: player.bars(), records: 0, waiting: 0, finished: false };
    for slice in player {
        let pieces = match pace {
            Pace::Max => vec![slice],
            Pace::Times(times) => slice.split((STEP.as_secs_f64() * times * 1e6) as i64),
        };
        for piece in pieces {
            if let Pace::Times(times) = pace {
                let last = piece.records.last().map_or(piece.until, |record| record.published);
                wait_until(began + wall(last.since(start), times), shutdown);
            }
            if shutdown.load(Ordering::Relaxed) {
                return Ok(Played { waiting: waiting(&writer), ..played });
            }
            (played.until, played.bars) = (piece.until, piece.bars);
            played.records += piece.records.len() as u64;
            writer.write(piece)?;
            progress(&played);
        }
    }
    played.finished = writer.courier().is_none_or(|courier| courier.drain(Duration::MAX, shutdown));
    Ok(Played { waiting: waiting(&writer), ..played })
}

/// Tape time as wall time, at most [`LONGEST`].
fn wall(micros: i64, times: f64) -> Duration {
    let exact = Duration::try_from_secs_f64(micros.max(0) as f64 / 1e6 / times);
    exact.unwrap_or(LONGEST).min(LONGEST)
}

fn wait_until(due: Instant, shutdown: &AtomicBool) {
    while !shutdown.load(Ordering::Relaxed) {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(LOOK));
    }
}

fn must_be_unused(log: &dyn Log, partitions: u32) -> Result<(), PlayError> {
    for partition in 0..partitions as i32 {
        let at = TopicPartition::new(MARKET_DATA, partition);
        let end = log.bounds(&at)?.end;
        if end > 0 {
            return Err(PlayError::Used { at, end });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_max_or_a_factor() {
        assert_eq!("max".parse(), Ok(Pace::Max));
        assert_eq!("60".parse(), Ok(Pace::Times(60.0)));
        for wrong in ["", "fast", "0", "-1", "inf", "nan"] {
            assert!(wrong.parse::<Pace>().is_err(), "{wrong}");
        }
        assert_eq!(wall(120_000_000, 60.0), Duration::from_secs(2));
        assert_eq!(wall(i64::MAX, 1e-300), LONGEST);
    }
}
