//! The latest fills of a portfolio: a repeat is recognised, a bust or a correction undone exactly.

use std::collections::VecDeque;

use hashbrown::{Equivalent, HashMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tapewatch_schemas::{Amount, Currency, ExecutionId, OrderId, Time};

use super::line::Line;
use super::lots::{Filled, Turn};
use super::marks::SymbolId;
use super::money::Money;
use super::rates::{Quoted, Rate};

/// One fill as it was booked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Execution {
    pub(super) order: OrderId,
    pub(super) id: ExecutionId,
    /// The latest correction of it.
    pub(super) corrected_by: Option<ExecutionId>,
    /// The report that undid it.
    pub(super) busted_by: Option<ExecutionId>,
    pub(super) symbol: SymbolId,
    /// Units; negative for a sale.
    pub(super) quantity: Amount,
    /// Of the currency below; all money here is in the portfolio's.
    pub(super) price: Quoted,
    pub(super) currency: Currency,
    /// Price × quantity × multiplier; negative for a sale.
    pub(super) value: Money,
    pub(super) fee: Money,
    /// False if its fee was in a currency without a rate.
    pub(super) fee_known: bool,
    pub(super) event_time: Time,
    /// The position before it.
    pub(super) before: Line,
    /// What it realised.
    pub(super) realised: Money,
    /// False if what it closed had an unknown cost.
    pub(super) realised_known: bool,
    /// What it did to the lots; none where costs were averaged.
    pub(super) turn: Option<Box<Turn>>,
    /// True if it is part of the book's opening and so was not booked by itself.
    pub(super) covered: bool,
}

impl Execution {
    /// Itself, as it was booked on `before`.
    pub(super) fn booked(&self, before: Line, filled: Filled) -> Self {
        let Filled { realised, known, turn } = filled;
        Self { before, realised, realised_known: known, turn, ..self.clone() }
    }

    /// Itself, as it stands if it is not booked.
    pub(super) fn not_booked(&self) -> Self {
        Self { realised: Money::ZERO, realised_known: true, turn: None, ..self.clone() }
    }

    /// True if it moves the position.
    pub(super) fn counts(&self) -> bool {
        self.busted_by.is_none() && !self.covered
    }
}

/// A key of the index that borrows; it hashes as the key does.
#[derive(Hash)]
struct ExecutionKey<'a>(&'a OrderId, &'a ExecutionId);

impl Equivalent<(OrderId, ExecutionId)> for ExecutionKey<'_> {
    fn equivalent(&self, (order, execution): &(OrderId, ExecutionId)) -> bool {
        self.0 == order && self.1 == execution
    }
}

/// The last so many fills, in the order they were booked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Executions {
    list: VecDeque<Execution>,
    /// The ordinal of the first in the list.
    first: u64,
    /// Ordinals by order and execution, and by order and correction.
    index: HashMap<(OrderId, ExecutionId), u64>,
}

impl Executions {
    /// The place of an execution that is still remembered, by its own id or that of its last correction.
    pub(super) fn find(&self, order: &OrderId, execution: &ExecutionId) -> Option<usize> {
        let ordinal = self.index.get(&ExecutionKey(order, execution))?;
        Some((ordinal - self.first) as usize)
    }

    /// The execution at a place.
    pub(super) fn get(&self, place: usize) -> &Execution {
        &self.list[place]
    }

    /// All, oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Execution> + ExactSizeIterator {
        self.list.iter()
    }

    /// Remembers one more; the oldest beyond `bound` is forgotten.
    pub(super) fn push(&mut self, execution: Execution, bound: usize) {
        let ordinal = self.first + self.list.len() as u64;
        self.index.insert((execution.order.clone(), execution.id.clone()), ordinal);
        self.list.push_back(execution);
        while self.list.len() > bound.max(1) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.list.pop_front() else { return };
        let ordinal = self.first;
        self.first += 1;
        for id in [Some(&oldest.id), oldest.corrected_by.as_ref()].into_iter().flatten() {
            let key = ExecutionKey(&oldest.order, id);
            if self.index.get(&key) == Some(&ordinal) {
                self.index.remove(&key);
            }
        }
    }

    /// Puts a changed execution in its old place.
    pub(super) fn replace(&mut self, place: usize, execution: Execution) {
        if let Some(correction) = &execution.corrected_by {
            let ordinal = self.first + place as u64;
            if let Some(former) = &self.list[place].corrected_by {
                self.index.remove(&ExecutionKey(&execution.order, former));
            }
            self.index.insert((execution.order.clone(), correction.clone()), ordinal);
        }
        self.list[place] = execution;
    }

    /// Takes all money into another currency. What cannot be converted is of unknown cost; of how many it is not known any
    /// more what they realised.
    pub(super) fn redenominate(&mut self, rate: Rate) -> u64 {
        self.forget_turns();
        let mut forgotten = 0;
        for execution in &mut self.list {
            let into = |money: Money| rate.of(money).ok().filter(|_| rate.is_known() || money == Money::ZERO);
            execution.price.rate = execution.price.rate.then(rate);
            let value = into(execution.value);
            if value.is_none() {
                execution.price.rate = Rate::Unknown;
            }
            execution.value = value.unwrap_or_default();
            execution.fee_known &= into(execution.fee).is_some();
            execution.fee = into(execution.fee).unwrap_or_default();
            let realised = into(execution.realised);
            if realised.is_none() && execution.realised_known {
                execution.realised_known = false;
                forgotten += 1;
            }
            execution.realised = realised.unwrap_or_default();
            execution.before = execution.before.redenominated(rate);
        }
        forgotten
    }

    /// Forgets what each did to lots that are no longer as they were: to redo one begins with the whole position
    /// before it as one lot.
    pub(super) fn forget_turns(&mut self) {
        for execution in &mut self.list {
            execution.turn = None;
        }
    }

    /// Marks everything up to `event_time` as part of the book's opening.
    pub(super) fn cover(&mut self, event_time: Time) {
        for execution in &mut self.list {
            execution.covered |= execution.event_time <= event_time;
        }
    }
}

impl Serialize for Executions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Executions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = VecDeque::<Execution>::deserialize(deserializer)?;
        let mut index = HashMap::with_capacity(list.len());
        for (ordinal, e) in (0_u64..).zip(&list) {
            for id in [Some(&e.id), e.corrected_by.as_ref()].into_iter().flatten() {
                index.insert((e.order.clone(), id.clone()), ordinal);
            }
        }
        Ok(Self { list, first: 0, index })
    }
}
