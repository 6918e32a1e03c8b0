//! What goes wrong around workers on real brokers, a file a hazard. `scripts/faults` runs it: it needs three
//! brokers of `scripts/kafka` (`TAPEWATCH_TEST_KAFKA`, and `KAFKA_DATA_DIR` for those that are hurt) and the
//! programs, built. Without brokers every test says that it is skipped.
//!
//! Each scenario ends in the same judgement, [`stage::Stage::judge`].

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed, its helpers too")]

mod broker_away;
mod broker_killed;
mod broker_paused;
mod clock_jumps;
mod disk;
mod halts;
mod new_version;
mod offsets_reset;
mod poison;
mod redriven;
mod registry;
mod rolling_bounce;
mod scaling;
mod schema_midstream;
mod stage;
mod stale_feed;
mod topics_gone;
mod torn_transaction;
mod unknown_outcome;
mod worker_killed;
mod worker_paused;
