//! What each position contributes to value at risk and expected shortfall of all that is held, revalued, as it is
//! published: the largest of them by name, and the rest in one figure.

use tapewatch_schemas::events::{Measure, Unknown};

use super::around::Around;
use super::history::{History, Stake};
use super::marks::Marks;
use super::measure::{Bounded, Confidence, TailModel};
use super::money::Money;
use super::portfolio::Portfolio;
use super::publish::{money, ratio};
use crate::kernels::{
    Contribution, Decomposition, Exposed, Horizon, SampleError, ShortfallConvention, Tail, TailRisk,
};

/// Which figures are taken apart, and how many positions are named.
#[derive(Clone, Copy, Debug)]
pub(in crate::risk) struct Wanted {
    /// The level; that of the others is not published, for the size of the records.
    level: Confidence,
    shortfall: ShortfallConvention,
    /// At most so many positions.
    most: usize,
}

impl Wanted {
    /// At the highest of the levels; none if no position is to be named.
    pub(in crate::risk) fn of(
        levels: &[Confidence],
        shortfall: ShortfallConvention,
        most: usize,
    ) -> Option<Self> {
        let level = levels.iter().copied().max()?;
        (most > 0).then_some(Self { level, shortfall, most })
    }

    /// The measures of a book: what is held, with its values now, and those of which the figures were made, in the same
    /// order; or why the figures are unknown, and then no position is named.
    pub(in crate::risk) fn measures<'h>(
        self,
        history: &History,
        marks: &Marks,
        held: impl Iterator<Item = Stake<'h>> + Clone,
        valued: Result<&[f64], Unknown>,
    ) -> Vec<Measure> {
        let parts = valued.and_then(|values| {
            // What is held is not what the figures are of: they are to be made anew.
            let same = held.clone().count() == values.len();
            if same { self.parts(history, held.clone(), values) } else { Err(Unknown::WarmingUp) }
        });
        let (mut list, figures) = (Vec::new(), self.figures());
        for named in parts.as_ref().map_or(&[][..], |parts| &parts.named) {
            let one = held.clone().nth(named.place).expect("it is one of those held");
            let symbol = marks.entry(one.symbol).symbol.as_str();
            name(&mut list, &figures, symbol, one.value, named.contribution);
        }
        let other = parts.map(|parts| parts.other);
        let [var, es] = &figures;
        list.push(ratio(&format!("{var}_component_other"), other.map(|other| 0.0 - other.var)));
        list.push(ratio(&format!("{es}_component_other"), other.map(|other| 0.0 - other.es)));
        list
    }

    /// The names of both figures.
    fn figures(self) -> [String; 2] {
        let (model, level, over) = (TailModel::Revalued, self.level, Horizon::ONE);
        [Bounded::ValueAtRisk(model, level, over), Bounded::ExpectedShortfall(model, level, over)]
            .map(|figure| figure.to_string())
    }

    fn parts<'h>(
        self,
        history: &History,
        held: impl Iterator<Item = Stake<'h>>,
        values: &[f64],
    ) -> Result<Parts, Unknown> {
        let count = values.len();
        let none = TailRisk { var: 0.0, es: 0.0 };
        if count == 0 {
            return Ok(Parts { named: Vec::new(), other: none });
        }
        let tail = Tail::new(self.level.tail()).map_err(|_| Unknown::Missing)?;
        let columns: Vec<_> = held.map(|one| history.returns_abroad(one.symbol, one.route)).collect();
        let pairs = values.iter().zip(&columns);
        let held = pairs.map(|(value, returns)| Exposed { value: *value, returns }).collect();
        let whole = Decomposition::new(held, tail, self.shortfall).map_err(|refused| match refused {
            SampleError::TooFew { .. } => Unknown::WarmingUp,
            _ => Unknown::Missing,
        })?;
        history.known_of(whole.scenarios(), 0)?;
        let components = (0..count).map(|place| whole.component(place)).collect::<Result<Vec<_>, _>>();
        let components = components.map_err(|_| Unknown::Missing)?;
        // By shortfall, which jumps less than value at risk from one moment to the next. Of equal ones the first.
        let mut order: Vec<usize> = (0..count).collect();
        let size = |place: &usize| libm::fabs(components[*place].es);
        order.sort_by(|a, b| size(b).total_cmp(&size(a)));
        let (largest, rest) = order.split_at(self.most.min(count));
        let mut without = Vec::new();
        let named = largest.iter().map(|place| {
            let contribution = whole.contribution(*place, &mut without).map_err(|_| Unknown::Missing)?;
            Ok(Named { place: *place, contribution })
        });
        let named = named.collect::<Result<Vec<_>, Unknown>>()?;
        let other = rest.iter().fold(none, |sum, place| TailRisk {
            var: sum.var + components[*place].var,
            es: sum.es + components[*place].es,
        });
        Ok(Parts { named, other })
    }
}

/// The largest contributions, and the components of all others together. Losses are negative.
struct Parts {
    named: Vec<Named>,
    other: TailRisk,
}

struct Named {
    /// Among the positions.
    place: usize,
    contribution: Contribution,
}

/// The measures of one position. Losses are positive.
fn name(list: &mut Vec<Measure>, [var, es]: &[String; 2], symbol: &str, value: Money, of: Contribution) {
    list.push(money(&format!("{}:{symbol}", Bounded::Position), None, value));
    let parts = [("component", of.component), ("marginal", of.marginal), ("incremental", of.incremental)];
    for (what, risk) in parts {
        list.push(ratio(&format!("{var}_{what}:{symbol}"), Ok(0.0 - risk.var)));
        list.push(ratio(&format!("{es}_{what}:{symbol}"), Ok(0.0 - risk.es)));
    }
}

impl Portfolio {
    /// What each position contributes to the figures in force, if that is wanted.
    pub(super) fn contributions(&self, around: &Around<'_>) -> Vec<Measure> {
        let Some(wanted) = around.parameters.window.contributions() else { return Vec::new() };
        let revalued = &self.revalued;
        let unknown = self.exposure_unknown().or(revalued.tails.unknown(&around.parameters.window));
        let unknown = unknown.or(revalued.due.then_some(Unknown::WarmingUp));
        let valued = unknown.map_or(Ok(revalued.values.as_slice()), Err);
        wanted.measures(around.history, around.marks, self.held(around.rates), valued)
    }
}
