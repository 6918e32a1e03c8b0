//! Were the forecasts of value at risk and expected shortfall right: each against the change that came after it.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::measure::{Confidence, TailModel};
use super::parameters::WindowParameters;
use crate::kernels::{Christoffersen, Exceptions, Tail, TailRisk, Zone, christoffersen, traffic_light};

/// Before so many observations a backtest says nothing: one exception would turn its light.
const LEAST: usize = 20;

/// The forecasts of one model at one level that were followed by a change, the latest of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Backtest {
    pub(super) model: TailModel,
    pub(super) level: Confidence,
    /// Oldest first: whether the loss was larger than the value at risk.
    hits: VecDeque<bool>,
    /// Of those that were, oldest first: the loss over the expected shortfall; none if that was no loss.
    depths: VecDeque<Option<f64>>,
    /// What the numbers of both come to.
    #[serde(skip)]
    zone: Option<Zone>,
}

/// What a backtest says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// Observations, exceptions, and what they say of the value at risk.
    pub(super) coverage: Christoffersen,
    /// The Basel Committee's zone.
    pub(super) zone: Zone,
    /// Acerbi and Székely's second statistic of the expected shortfall; none if a forecast was no loss and an exception
    /// followed it, or the depths are beyond what a double holds.
    pub(super) z2: Option<f64>,
}

impl Backtest {
    pub(super) fn new(model: TailModel, level: Confidence) -> Self {
        Self { model, level, hits: VecDeque::new(), depths: VecDeque::new(), zone: None }
    }

    pub(super) fn is_of(&self, model: TailModel, level: Confidence) -> bool {
        (self.model, self.level) == (model, level)
    }

    /// A change came after a forecast, whose losses are positive. At most `most` are kept.
    pub(super) fn observe(&mut self, change: f64, forecast: TailRisk, most: usize) {
        let loss = 0.0 - change;
        let hit = loss > forecast.var;
        let before = (self.hits.len(), self.depths.len());
        self.hits.push_back(hit);
        if hit {
            let depth = loss / forecast.es;
            self.depths.push_back((forecast.es > 0.0 && depth.is_finite()).then_some(depth));
        }
        self.trim(most);
        if before != (self.hits.len(), self.depths.len()) || self.zone.is_none() {
            self.light();
        }
    }

    /// As it goes on with at most so many observations, after it was put back.
    pub(super) fn restored(mut self, most: usize) -> Self {
        self.trim(most);
        self.light();
        self
    }

    /// True if it says something of a window that is at most so long.
    pub(super) fn says(&self, most: usize) -> bool {
        self.hits.len() >= LEAST.min(most)
    }

    /// The zone.
    pub(super) fn zone(&self) -> Option<Zone> {
        self.zone
    }

    fn trim(&mut self, most: usize) {
        while self.hits.len() > most {
            if self.hits.pop_front() == Some(true) {
                self.depths.pop_front();
            }
        }
    }

    fn tail(&self) -> Option<Tail> {
        Tail::new(self.level.tail()).ok()
    }

    fn light(&mut self) {
        let counted = Exceptions::new(self.hits.len() as u64, self.depths.len() as u64).ok();
        self.zone = counted.zip(self.tail()).map(|(counted, tail)| traffic_light(counted, tail).zone);
    }

    /// What it says; none before it says anything.
    pub(super) fn verdict(&mut self) -> Option<Verdict> {
        let (zone, tail) = (self.zone?, self.tail()?);
        let coverage = christoffersen(self.hits.make_contiguous(), tail).ok()?;
        let depth: Option<f64> = self.depths.iter().copied().sum();
        let z2 = depth.map(|depth| 1.0 - depth / (self.hits.len() as f64 * tail.alpha()));
        let z2 = z2.filter(|z2| z2.is_finite());
        Some(Verdict { coverage, zone, z2 })
    }
}

/// A backtest of each model that is tried, at each level.
pub(super) fn fresh(window: &WindowParameters, interval: Duration) -> Vec<Backtest> {
    let levels = |model: &TailModel| {
        let model = *model;
        window.levels.iter().map(move |level| Backtest::new(model, *level))
    };
    window.models.iter().filter(|model| window.tries(**model, interval)).flat_map(levels).collect()
}

/// A zone as a measure.
pub(super) const fn number(zone: Zone) -> f64 {
    match zone {
        Zone::Green => 0.0,
        Zone::Yellow => 1.0,
        Zone::Red => 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Sample, acerbi_szekely};

    const FORECAST: TailRisk = TailRisk { var: 2.0, es: 3.0 };

    /// As the two kernels say of the whole series at once, the oldest observations left out.
    #[test]
    fn it_says_what_the_tests_of_the_last_observations_say() {
        let changes: Vec<f64> = (0..400_i32).map(|n| f64::from((n * 37) % 101) / 10.0 - 5.0).collect();
        let mut backtest = Backtest::new(TailModel::Historical, Confidence(9500));
        changes.iter().for_each(|change| backtest.observe(*change, FORECAST, 250));
        let last = &changes[150..];
        let verdict = backtest.verdict().unwrap();
        let tail = Tail::new(0.05).unwrap();
        let hits: Vec<bool> = last.iter().map(|change| *change < -2.0).collect();
        assert_eq!(verdict.coverage, christoffersen(&hits, tail).unwrap());
        let forecasts = vec![TailRisk { var: -2.0, es: -3.0 }; 250];
        let expected = acerbi_szekely(Sample::new(last).unwrap(), &forecasts, tail).unwrap();
        assert!((verdict.z2.unwrap() - expected.z2).abs() < 1e-12, "{verdict:?} {expected:?}");
        assert_eq!(verdict.zone, Zone::Red);
    }

    #[test]
    fn a_loss_of_as_much_as_was_forecast_is_no_exception() {
        let mut backtest = Backtest::new(TailModel::Historical, Confidence(9900));
        for change in [-2.0, 0.0, 5.0, -2.5] {
            backtest.observe(change, FORECAST, 250);
        }
        let verdict = backtest.verdict().unwrap();
        assert_eq!(verdict.coverage.exceptions.exceptions(), 1);
        assert_eq!(verdict.coverage.exceptions.observations(), 4);
        assert!((verdict.z2.unwrap() - (1.0 - (2.5 / 3.0) / (4.0 * 0.01))).abs() < 1e-12);
    }

    #[test]
    fn a_shortfall_that_was_no_loss_leaves_its_test_unsaid() {
        let mut backtest = Backtest::new(TailModel::Historical, Confidence(9900));
        backtest.observe(-1.0, TailRisk { var: 0.0, es: 0.0 }, 250);
        let verdict = backtest.verdict().unwrap();
        assert_eq!((verdict.coverage.exceptions.exceptions(), verdict.z2), (1, None));
    }
}
