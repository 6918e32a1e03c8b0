use std::collections::BTreeMap;

use tapewatch_schemas::{PortfolioId, Time};

use super::poison::Poison;
use super::scene::Scene;
use super::{Incident, IncidentBook, Kind};
use crate::market::{Instrument, Regime};
use crate::options::{Layout, PlayerError};
use crate::random::{Purpose, Random};
use crate::tape::{BAR, Bar};
use crate::trading::Scripted;

/// Bars before the first incident: averages and windows fill, accounts and heartbeats have come.
const LEAD: usize = 128;
/// Bars after the last incident.
const TAIL: usize = 32;
/// The fewest bars between the starts of two incidents.
const SLOT: usize = 64;
/// Bars that must follow one another without a hole around an incident's start.
const BEFORE: usize = 6;
/// The same after it.
const AFTER: usize = 34;

/// What the player has to do so that the incidents happen.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) regime: Option<Regime>,
    /// A partition of the market's topic that is silent from an instant to another.
    pub(crate) silence: Option<(i32, Time, Time)>,
    pub(crate) poison: Vec<Poison>,
    /// By bar.
    pub(crate) scripts: BTreeMap<usize, Vec<Scripted>>,
}

impl Plan {
    /// The market's partition that is silent at an instant.
    pub(crate) fn silent_partition(&self, at: Time) -> Option<i32> {
        self.silence.filter(|(_, from, to)| *from <= at && at < *to).map(|(partition, ..)| partition)
    }

    /// The poison of a bar.
    pub(crate) fn poison_in(&self, bar: usize) -> impl Iterator<Item = &Poison> {
        self.poison.iter().filter(move |poison| poison.bar == bar)
    }

    /// What is scripted for a portfolio in a bar.
    pub(crate) fn scripts_of(&self, bar: usize, portfolio: usize) -> Vec<Scripted> {
        let all = self.scripts.get(&bar).map_or(&[][..], Vec::as_slice);
        all.iter().filter(|scripted| scripted.portfolio == portfolio).copied().collect()
    }
}

/// What incidents happen to.
pub(crate) struct Stage<'a> {
    pub(crate) bars: &'a [Bar],
    pub(crate) instruments: &'a [Instrument],
    /// The symbols of each portfolio, by number.
    pub(crate) universes: &'a [&'a [usize]],
    pub(crate) portfolios: &'a [PortfolioId],
    pub(crate) layout: Layout,
    pub(crate) seed: u64,
}

impl Stage<'_> {
    /// Lays one incident of each kind, in a seeded order, far enough apart not to mask each other.
    pub(crate) fn plan(&self, random: &mut Random) -> Result<(IncidentBook, Plan), PlayerError> {
        let needed = LEAD + TAIL + SLOT * Kind::ALL.len();
        let (portfolios, symbols) = (self.portfolios.len(), self.instruments.len());
        if self.bars.len() < needed || portfolios < 2 || symbols < 2 {
            return Err(PlayerError::NoRoom { bars: self.bars.len(), needed, portfolios, symbols });
        }
        let slot = (self.bars.len() - LEAD - TAIL) / Kind::ALL.len();
        let mut kinds = Kind::ALL;
        random.shuffle(&mut kinds);
        let mut cast: Vec<usize> = (0..self.portfolios.len()).collect();
        random.shuffle(&mut cast);
        let (fallen, others) = cast.split_first().expect("there are two portfolios");
        let mut poison = Random::new(self.seed, Purpose::Poison);
        let mut plan = Plan::default();
        let mut incidents: Vec<Incident> = Vec::new();
        for (turn, kind) in kinds.into_iter().enumerate() {
            let first = LEAD + turn * slot;
            let bar = self.start(first, slot, random);
            // Who has lost so much trades no more, so nothing else happens to that portfolio.
            let portfolio = if kind == Kind::Drawdown { *fallen } else { others[turn % others.len()] };
            let universe = self.universes[portfolio];
            let symbol = universe[random.below(universe.len() as u64) as usize];
            let mut scene = Scene {
                stage: self,
                plan: &mut plan,
                random: &mut poison,
                number: turn + 1,
                kind,
                bar,
                slot_end: first + slot,
                portfolio,
                symbol,
            };
            incidents.push(scene.play());
        }
        Ok((IncidentBook { incidents }, plan))
    }

    /// A bar in the slot's first quarter, or the first after it around which the tape has no hole.
    fn start(&self, first: usize, slot: usize, random: &mut Random) -> usize {
        let wanted = first + BEFORE + random.below(slot as u64 / 4) as usize;
        let last = (first + slot).saturating_sub(AFTER);
        let whole = |bar: &usize| {
            let around = &self.bars[bar - BEFORE..(bar + AFTER).min(self.bars.len())];
            around.windows(2).all(|pair| pair[1].start.since(pair[0].start) == BAR)
        };
        (wanted..=last).find(whole).or_else(|| (first + BEFORE..wanted).find(whole)).unwrap_or(wanted)
    }
}
