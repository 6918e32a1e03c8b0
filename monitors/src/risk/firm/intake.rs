//! Taking marks and books.

use tapewatch_schemas::amount::AmountError;
use tapewatch_schemas::events::{Holding, Holdings, MarketData, Unknown};
use tapewatch_schemas::{Amount, PortfolioId, Symbol, worker_source};

use super::FirmMonitor;
use super::books::{Book, BookLine, Held, Standing};
use super::profits::Profit;
use super::trades::grew;
use crate::monitor::{Output, Refusal, Seen};
use crate::risk::feeds::FeedId;
use crate::risk::liquidity::Came;
use crate::risk::marks::{Mark, SymbolId, price_of};
use crate::risk::money::Money;
use crate::risk::rates::Quoted;
use crate::risk::{Sampling, full, overflow};

impl FirmMonitor {
    pub(super) fn on_market_data(
        &mut self,
        data: &MarketData,
        seen: &Seen<'_>,
        clock: tapewatch_schemas::Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let price = price_of(data, self.half).map_err(overflow("bid"))?;
        let symbol = self.marks.find(&data.symbol);
        let mark = symbol.and_then(|s| self.marks.mark(s));
        // Most marks come by the feed that the last one came by: no look-up.
        let known = match mark {
            Some(mark) if self.feeds.is(mark.feed, &data.source, seen.topic, seen.partition) => {
                Some(mark.feed)
            }
            _ => self.feed(&data.source, seen)?,
        };
        let late = mark.is_some_and(|mark| mark.event_time > data.event_time);
        let price = price.filter(|_| !late);
        let other = mark.is_none_or(|mark| mark.currency != data.currency || Some(mark.feed) != known);
        let converts = symbol.is_some_and(|symbol| self.rates.has(symbol));
        let mut held = Vec::new();
        match (symbol, price) {
            (Some(symbol), Some(price)) => held = self.held_after(symbol, data, price)?,
            (Some(_), None) => {}
            (None, _) => self.room_for_symbols(1)?,
        }

        // Nothing is refused from here on.
        self.begin(clock);
        let feed = known.unwrap_or_else(|| self.feeds.add(&data.source, seen.topic, seen.partition));
        let came =
            Came { is_mark: price.is_some(), is_late: late, again: self.feeds.has_read(feed, data.sequence) };
        let revived = self.feeds.read(feed, data.sequence);
        let symbol = symbol.or_else(|| price.map(|_| self.marks.add(&data.symbol)));
        let day = &self.parameters.day;
        let sold = symbol.filter(|symbol| self.liquidity.take(*symbol, data, (feed, came), self.clock, day));
        if let (Some(symbol), Some(price)) = (symbol, price) {
            let (currency, event_time) = (data.currency.clone(), data.event_time);
            self.marks.entry_mut(symbol).mark = Some(Mark { price, currency, event_time, feed });
            if converts {
                self.value_accounts();
            }
        }
        let most = self.parameters.bounds.symbols;
        if self.history.follow(&self.parameters.history, self.clock, &mut self.marks, most) {
            self.history_changed();
        }
        for place in 0..self.scopes.len() {
            let of_scope = held.iter().filter(|(at, _)| *at == place);
            let own = &self.parameters.currency;
            let goes_over = |symbol| self.scopes[place].is_converted_over(symbol, own, &self.rates);
            let accounted = converts && price.is_some() && symbol.is_some_and(goes_over);
            let sellable =
                sold.is_some_and(|symbol| self.marks.entry(symbol).holders.contains(&(place as u32)));
            let marked = of_scope.fold(accounted, |_, (_, held)| {
                self.scopes[place].put(*held);
                true
            });
            if marked {
                self.sample_is_due(place);
            }
            if marked || sellable {
                self.level_is_due(place);
                self.settle(place, other || converts, out);
            }
        }
        if revived {
            self.settle_unknown(out);
        }
        Ok(())
    }

    pub(super) fn on_holdings(
        &mut self,
        holdings: &Holdings,
        seen: &Seen<'_>,
        clock: tapewatch_schemas::Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let bounds = self.parameters.bounds;
        let known = self.books.get(&holdings.portfolio);
        if known.is_none() && self.books.len() >= bounds.portfolios {
            return Err(full("portfolio", self.books.len(), "no more portfolios than the bound"));
        }
        if holdings.holdings.len() > bounds.holdings {
            return Err(full("holdings", bounds.holdings, "no more symbols in a book than the bound"));
        }
        let provenance = &holdings.provenance;
        let source = worker_source(provenance.worker.as_str(), provenance.partition);
        let known_feed = self.feed(&source, seen)?;
        let made = (holdings.event_time, provenance.step);
        let late = known.is_some_and(|book| (book.event_time, book.step) > made);
        let (lines, new) = self.lines(&holdings.holdings)?;
        self.room_for_symbols(new.len())?;
        let held = if late { Vec::new() } else { self.held_with(&holdings.portfolio, &lines)? };

        // Nothing is refused from here on.
        self.begin(clock);
        let feed = known_feed.unwrap_or_else(|| self.feeds.add(&source, seen.topic, seen.partition));
        let revived = self.feeds.read(feed, provenance.step);
        let grew = late || grew(self.books.get(&holdings.portfolio), holdings.unknown, &lines);
        let mut seen_in = Vec::new();
        for (place, scope) in self.scopes.iter_mut().enumerate() {
            if let Some(at) = holdings.filled_at
                && self.parameters.scopes[place].has(&holdings.portfolio)
            {
                scope.trades.see(&holdings.portfolio, at, grew);
                seen_in.push(place);
            }
        }
        seen_in.into_iter().for_each(|place| self.level_is_due(place));
        if !late {
            for symbol in new {
                self.marks.add(symbol);
            }
            self.put_book(holdings, (feed, lines), held, out);
        }
        if revived {
            self.settle_unknown(out);
        }
        Ok(())
    }

    /// Puts a portfolio's book in the place of the one before it: `held` is what each scope holds with it.
    fn put_book(
        &mut self,
        holdings: &Holdings,
        (feed, lines): (FeedId, Vec<BookLine>),
        held: Vec<(usize, Held)>,
        out: &mut Vec<Output>,
    ) {
        let Holdings { event_time, unknown, filled_at, .. } = *holdings;
        let conduct = holdings.conduct.as_deref().copied();
        let profit = Profit::of(holdings);
        let (standing, account_unknown) = self.standing(holdings);
        let own = &self.parameters.currency;
        let known = self.books.get(&holdings.portfolio);
        // What it was worth and had gained is asked for only where it does not go on from there.
        let another = |book: &&Book| {
            let account = book.standing.as_ref().map(|one| &one.currency);
            account != standing.as_ref().map(|one| &one.currency) || !book.is_followed_by(profit.as_ref())
        };
        let left = known.filter(another);
        let had = left.and_then(|book| book.worth(&self.marks, &self.rates, own));
        let had_gained = left.and_then(|book| book.gained(&self.marks, &self.rates, own));
        let step = holdings.provenance.step;
        let now = standing.clone();
        let gained = profit.clone();
        let book =
            Book { feed, event_time, step, unknown, standing, account_unknown, profit, conduct, lines };
        // A book that only says once more what is held is no observation of anything.
        let known = self.books.get(&holdings.portfolio);
        let moved = known.is_none_or(|before| before.differs(&book));
        let only_orders = !moved && known.is_some_and(|before| before.is_as_known_as(&book));
        let sampled = self.parameters.window.sampling == Sampling::EachFill
            && (filled_at.is_some() || known.is_some_and(|before| before.gains_on(&book)));
        let before = self.books.insert(holdings.portfolio.clone(), book);
        let (before, lost) = before.map_or((None, None), |book| (book.standing, book.profit));
        for (place, held) in held {
            let symbol = held.symbol;
            let holds = self.scopes[place].put(held);
            self.marks.set_holder(symbol, place as u32, holds);
        }
        for place in 0..self.scopes.len() {
            if self.parameters.scopes[place].has(&holdings.portfolio) {
                if only_orders {
                    self.look_soon(place);
                    continue;
                }
                let scope = &mut self.scopes[place];
                let own = &self.parameters.currency;
                scope.take_standing(&holdings.portfolio, (before.as_ref(), now.as_ref()), had, own);
                let (profits, basis) = ((lost.as_ref(), gained.as_ref()), self.parameters.window.basis);
                scope.take_profit(&holdings.portfolio, profits, had_gained, basis);
                scope.value_abroad(own, &self.rates, &self.marks);
                scope.revalue_due = true;
                self.level_is_due(place);
                if moved {
                    self.sample_is_due(place);
                }
                self.reassess(place);
                if sampled {
                    self.sample(place);
                }
                self.settle(place, false, out);
            }
        }
    }

    /// That there is room for `more` new symbols.
    fn room_for_symbols(&self, more: usize) -> Result<(), Refusal> {
        if self.marks.len() + more > self.parameters.bounds.symbols {
            return Err(full("symbol", self.marks.len(), "no more symbols than the bound"));
        }
        Ok(())
    }

    /// The lines of a book, by symbol's place, and the symbols that are new, in the order of the places they will have.
    fn lines<'h>(&self, holdings: &'h [Holding]) -> Result<(Vec<BookLine>, Vec<&'h Symbol>), Refusal> {
        let (mut lines, mut new) = (Vec::with_capacity(holdings.len()), Vec::new());
        for holding in holdings {
            let symbol = self.marks.find(&holding.symbol).unwrap_or_else(|| {
                let there =
                    new.iter().position(|symbol: &&Symbol| **symbol == holding.symbol).unwrap_or(new.len());
                if there == new.len() {
                    new.push(&holding.symbol);
                }
                (self.marks.len() + there) as SymbolId
            });
            let units = Money::value(holding.quantity, holding.multiplier, Amount::ONE);
            let units = units.map_err(overflow("quantity"))?;
            let (quantity, currency) = (Money::of(holding.quantity), holding.currency.clone());
            lines.push(BookLine { symbol, quantity, units, currency });
        }
        lines.sort_unstable_by_key(|line| line.symbol);
        let doubled = |pair: &[BookLine]| pair[0].symbol == pair[1].symbol;
        if lines.windows(2).any(doubled) {
            return Err(Refusal {
                field: "holdings",
                problem: "a symbol stands twice".to_owned(),
                expected: "each symbol once",
            });
        }
        Ok((lines, new))
    }

    /// What an account adds to what is held, and why what rests on it is unknown.
    fn standing(&self, holdings: &Holdings) -> (Option<Standing>, Option<Unknown>) {
        match &holdings.account {
            // It knows of something that has no value yet: what it said before stands, and nothing that rests on it.
            Some(_) if matches!(holdings.account_unknown, Some(Unknown::Missing | Unknown::NoRate)) => {
                let before = self.books.get(&holdings.portfolio).and_then(|book| book.standing.clone());
                (before, holdings.account_unknown)
            }
            Some(account) => {
                let (beside, flows) = (Money::of(account.beside), Money::of(account.flows));
                let currency = holdings.currency.clone();
                (Some(Standing { currency, beside, flows }), holdings.account_unknown)
            }
            None => (None, holdings.account_unknown.or(Some(Unknown::Missing))),
        }
    }

    /// What is held of a symbol at its mark and the rate; worth nothing without them.
    fn at_mark(&self, held: Held) -> Result<Held, AmountError> {
        let Some(mark) = self.marks.mark(held.symbol) else { return held.at(None) };
        let rate = self.rates.rate(&mark.currency, &self.parameters.currency, &self.marks);
        held.at(rate.is_known().then_some(Quoted { price: mark.price, rate }))
    }

    /// What scopes hold of a symbol, and of what is converted by it, once this is its price: with the mark as it is if
    /// anything does not fit.
    fn held_after(
        &mut self,
        symbol: SymbolId,
        data: &MarketData,
        price: Amount,
    ) -> Result<Vec<(usize, Held)>, Refusal> {
        let (currency, event_time) = (data.currency.clone(), data.event_time);
        // By which feed it comes makes no difference to what anything is worth.
        let mark = Mark { price, currency, event_time, feed: 0 };
        let before = self.marks.entry_mut(symbol).mark.replace(mark);
        let same = before.as_ref().is_some_and(|mark| mark.currency == data.currency);
        let held = self.held_by(symbol, !same);
        self.marks.entry_mut(symbol).mark = before;
        held.map_err(overflow("last"))
    }

    fn held_by(&self, symbol: SymbolId, recount: bool) -> Result<Vec<(usize, Held)>, AmountError> {
        let mut all = Vec::new();
        for place in &self.marks.entry(symbol).holders {
            let place = *place as usize;
            let mut held = self.scopes[place].of(symbol);
            if recount {
                held.foreign = self.foreign(place, symbol);
            }
            all.push((place, self.at_mark(held)?));
        }
        if !self.rates.has(symbol) {
            return Ok(all);
        }
        let own = &self.parameters.currency;
        for (place, scope) in self.scopes.iter().enumerate() {
            for held in scope.held.iter().filter(|held| held.symbol != symbol) {
                let priced = self.marks.mark(held.symbol).map(|mark| &mark.currency);
                if priced.is_some_and(|priced| self.rates.goes_over(priced, own, symbol)) {
                    all.push((place, self.at_mark(*held)?));
                }
            }
        }
        Ok(all)
    }

    /// How many portfolios of a scope hold a symbol in another currency than its mark's.
    fn foreign(&self, place: usize, symbol: SymbolId) -> u32 {
        let marked = self.marks.mark(symbol).map(|mark| &mark.currency);
        let members = &self.parameters.scopes[place];
        let books = self.books.iter().filter(|(portfolio, _)| members.has(portfolio));
        let lines = books.filter_map(|(_, book)| {
            let at = book.lines.binary_search_by_key(&symbol, |line| line.symbol).ok()?;
            Some(&book.lines[at])
        });
        lines.filter(|line| line.is_foreign(marked)).count() as u32
    }

    /// Values what accounts add, at the rates now.
    pub(super) fn value_accounts(&mut self) {
        for scope in &mut self.scopes {
            scope.value_abroad(&self.parameters.currency, &self.rates, &self.marks);
        }
    }

    /// What each scope of a portfolio holds once its book is this: of the symbols that it holds or held.
    pub(super) fn held_with(
        &self,
        portfolio: &PortfolioId,
        lines: &[BookLine],
    ) -> Result<Vec<(usize, Held)>, Refusal> {
        let before = self.books.get(portfolio).map_or(&[][..], |book| &book.lines);
        let mut symbols: Vec<SymbolId> = before.iter().chain(lines).map(|line| line.symbol).collect();
        symbols.sort_unstable();
        symbols.dedup();
        let of = |lines: &[BookLine], symbol| {
            let at = lines.binary_search_by_key(&symbol, |line| line.symbol).ok()?;
            Some(lines[at].clone())
        };
        let mut all = Vec::new();
        let places = (0..self.scopes.len()).filter(|place| self.parameters.scopes[*place].has(portfolio));
        for place in places {
            for &symbol in &symbols {
                let mut held = self.scopes[place].of(symbol);
                let marked = self.marks.mark(symbol).map(|mark| &mark.currency);
                if let Some(line) = of(before, symbol) {
                    held = held.less(&line, marked);
                }
                if let Some(line) = of(lines, symbol) {
                    held = held.plus(&line, marked);
                }
                all.push((place, self.at_mark(held).map_err(overflow("quantity"))?));
            }
        }
        Ok(all)
    }
}
