//! The latest mark of every symbol, and who holds it.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use tapewatch_schemas::amount::AmountError;
use tapewatch_schemas::events::MarketData;
use tapewatch_schemas::{Amount, Currency, Symbol, Time};

use super::feeds::FeedId;

/// A symbol's place in the table.
pub(super) type SymbolId = u32;

/// A symbol's latest price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) price: Amount,
    pub(super) currency: Currency,
    pub(super) event_time: Time,
    /// The feed it came by.
    pub(super) feed: FeedId,
}

/// One symbol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) symbol: Symbol,
    pub(super) mark: Option<Mark>,
    /// The portfolios that hold it, ascending.
    #[serde(skip)]
    pub(super) holders: Vec<u32>,
}

/// Every symbol seen, in the order of first appearance.
#[derive(Debug, Default)]
pub(super) struct Marks {
    list: Vec<Entry>,
    index: HashMap<Symbol, SymbolId>,
}

impl Marks {
    /// The symbol's place, if it was seen.
    pub(super) fn find(&self, symbol: &Symbol) -> Option<SymbolId> {
        self.index.get(symbol).copied()
    }

    /// How many symbols there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// A new symbol.
    pub(super) fn add(&mut self, symbol: &Symbol) -> SymbolId {
        let id = self.list.len() as SymbolId;
        self.index.insert(symbol.clone(), id);
        self.list.push(Entry { symbol: symbol.clone(), mark: None, holders: Vec::new() });
        id
    }

    /// The symbol at a place.
    pub(super) fn entry(&self, id: SymbolId) -> &Entry {
        &self.list[id as usize]
    }

    /// The symbol at a place.
    pub(super) fn entry_mut(&mut self, id: SymbolId) -> &mut Entry {
        &mut self.list[id as usize]
    }

    /// The names of symbols.
    pub(super) fn names(&self, symbols: impl IntoIterator<Item = SymbolId>) -> Vec<String> {
        symbols.into_iter().map(|symbol| self.entry(symbol).symbol.to_string()).collect()
    }

    /// Its mark. A symbol that is yet to get its place has none.
    pub(super) fn mark(&self, id: SymbolId) -> Option<&Mark> {
        self.list.get(id as usize)?.mark.as_ref()
    }

    /// Every symbol's mark, by place.
    pub(super) fn all(&self) -> impl Iterator<Item = Option<&Mark>> {
        self.list.iter().map(|entry| entry.mark.as_ref())
    }

    /// Says whether a portfolio holds the symbol.
    pub(super) fn set_holder(&mut self, id: SymbolId, portfolio: u32, holds: bool) {
        let holders = &mut self.list[id as usize].holders;
        match (holders.binary_search(&portfolio), holds) {
            (Err(at), true) => holders.insert(at, portfolio),
            (Ok(at), false) => {
                holders.remove(at);
            }
            _ => {}
        }
    }

    /// What is saved.
    pub(super) fn save(&self) -> &Vec<Entry> {
        &self.list
    }

    /// Puts back what was saved; holders are to be set anew.
    pub(super) fn restore(list: Vec<Entry>) -> Self {
        let index = list.iter().enumerate().map(|(id, e)| (e.symbol.clone(), id as SymbolId)).collect();
        Self { list, index }
    }
}

/// The price that a record of market data gives: the middle of bid and ask, else the last trade. None if
/// it has neither.
pub(super) fn price_of(data: &MarketData, half: Amount) -> Result<Option<Amount>, AmountError> {
    match (data.bid, data.ask) {
        (Some(bid), Some(ask)) => bid.checked_add(ask)?.checked_mul(half).map(Some),
        _ => Ok(data.last),
    }
}
