//! What a seed stands for.

use std::time::Duration;

use tapewatch_eventlog::faults::Rates;

use super::random::Random;
use super::stock::Stock;

/// What a seed stands for: how much of what, and how often it goes wrong.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed.
    pub seed: u64,
    /// True on the tape's clock, false on the wall's.
    pub tape: bool,
    /// Partitions of the co-partitioned topics.
    pub partitions: u32,
    /// Instances of each worker, in the pipeline's order.
    pub instances: [usize; 3],
    /// Turns and other happenings before everything heals.
    pub steps: u64,
    /// Slices of input until then.
    pub slices: u64,
    /// Records in a slice, about.
    pub slice: u64,
    /// True if the outputs must be those of a run without faults: the merge rests on promises alone, and none
    /// of them is broken.
    pub promised: bool,
    /// True if keys are held behind their dead letters.
    pub hold: bool,
    /// The most keys that a task holds.
    pub max_held: usize,
    /// How often someone sends dead letters back, or skips what stands before a breaker, in ten thousand steps; if
    /// ever, all of them have come back in the end.
    pub returns: u64,
    /// True if nobody moves positions.
    pub no_seek: bool,
    /// Clocks that jump.
    pub jumps: bool,
    /// Records in a round, at most.
    pub max_records: usize,
    /// Records read ahead in a lane.
    pub lane_records: usize,
    /// Records in a batch.
    pub batch_records: usize,
    /// How long a round waits.
    pub linger: Duration,
    /// Turns until a commit is answered.
    pub answered_after: u32,
    /// Faults of each instance's log.
    pub rates: Rates,
    /// In ten thousand steps: an instance dies, stops, is held for a while, has a double of its name.
    pub deaths: u64,
    /// See [`Scenario::deaths`].
    pub stops: u64,
    /// See [`Scenario::deaths`].
    pub holds: u64,
    /// See [`Scenario::deaths`].
    pub doubles: u64,
}

impl Scenario {
    /// Draws it.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::of(seed, "scenario");
        let random = &mut random;
        let tape = random.chance(6_000);
        let promised = tape && random.chance(6_000);
        // Numbers of their own: what seeds meant before there was this is what they mean still.
        let mut letters = Random::of(seed, "letters");
        let (hold, held) = (letters.chance(4_000), *letters.pick(&[1, 2, 100]));
        let firm = Random::of(seed, "firm").within(1, 2) as usize;
        let returns = if letters.chance(6_000) && !promised { letters.within(40, 300) } else { 0 };
        // Some of each in every seed; of some kinds hardly any, so that they do not hide the others.
        let rate = |random: &mut Random, most: u64| {
            if random.chance(3_000) { 1 } else { 1 + random.below(most) as u32 }
        };
        Self {
            seed,
            tape,
            partitions: Stock::partitions(random.next()),
            instances: [random.within(2, 3) as usize, firm, random.within(1, 2) as usize],
            steps: random.within(250, 700),
            slices: random.within(12, 30),
            slice: random.within(6, 20),
            promised,
            hold,
            // Whoever waits for a key to be released waits for ever where nothing comes back.
            max_held: if returns > 0 { held } else { 100 },
            returns,
            no_seek: promised || random.chance(7_000),
            jumps: random.chance(4_000),
            max_records: *random.pick(&[3, 20, 60, 1_000]),
            lane_records: *random.pick(&[20, 1_000]),
            batch_records: *random.pick(&[1, 5, 50, 1_000]),
            linger: Duration::from_millis(*random.pick(&[0, 2, 20])),
            answered_after: random.below(4) as u32,
            rates: Rates {
                abort: rate(random, 600),
                unknown: rate(random, 600),
                fenced: rate(random, 100),
                error: rate(random, 10),
                silence: rate(random, 500),
                crash: rate(random, 12),
            },
            deaths: random.within(20, 150),
            stops: random.within(0, 100),
            holds: random.within(0, 100),
            doubles: random.within(0, 40),
        }
    }
}
