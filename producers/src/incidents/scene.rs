use tapewatch_schemas::catalogue::{ACCOUNTS, EXEC_REPORTS, MARKET_DATA, SIGNALS};
use tapewatch_schemas::events::{Side, Unknown};
use tapewatch_schemas::{PortfolioId, Time};

use super::judge::UNACKNOWLEDGED;
use super::plan::{Plan, Stage};
use super::poison::{self, Poison};
use super::{About, Expectation, Incident, Kind, Says};
use crate::market::Regime;
use crate::random::Random;
use crate::tape::BAR;
use crate::trading::{Script, Scripted, Twist};

const SECOND: i64 = 1_000_000;
/// What the person buys, currency units: over the position limit of 100,000.
const TOO_MUCH: f64 = 130_000.0;
/// Bars that the person holds it.
const HELD: usize = 8;
/// The share of the peak equity that the loop loses: over the soft bound of 15 % and the hard one of 20 %.
const LOST: f64 = 0.215;
/// Bars without marks: five hours.
const SILENT: usize = 20;
/// Bars after a burst in which good reports surely come.
const RECOVERY: usize = 12;
/// Records of a burst.
const BURST: usize = 500;
/// Bars that are played at a time, at most.
const SLICE: usize = 96;
/// The factor on a symbol's own variation in another regime.
const WILD: f64 = 4.0;

/// One incident in the making.
pub(super) struct Scene<'a, 'b> {
    pub(super) stage: &'a Stage<'a>,
    pub(super) plan: &'b mut Plan,
    pub(super) random: &'b mut Random,
    pub(super) number: usize,
    pub(super) kind: Kind,
    /// The bar it begins in.
    pub(super) bar: usize,
    /// The bar that the next incident's slot begins with.
    pub(super) slot_end: usize,
    pub(super) portfolio: usize,
    pub(super) symbol: usize,
}

impl Scene<'_, '_> {
    /// Writes the incident into the plan, and says what it is.
    pub(super) fn play(&mut self) -> Incident {
        match self.kind {
            Kind::PositionOverLimit => self.position(),
            Kind::Drawdown => self.drawdown(),
            Kind::StoppedFeed => self.stopped_feed(),
            Kind::PoisonRecords => self.poison_records(),
            Kind::PoisonBurst => self.poison_burst(),
            Kind::DuplicatedFill => self.trade(Twist::Duplicated),
            Kind::LostFill => self.lost_fill(),
            Kind::LateExecution => self.late_execution(),
            Kind::OffBoundaryExecution => self.trade(Twist::OffBoundary),
            Kind::Slip => self.trade(Twist::Slipped),
            Kind::RegimeChange => self.regime(),
        }
    }

    fn position(&mut self) -> Incident {
        self.script(0, Script::Manual(Side::Buy, TOO_MUCH));
        for bar in 1..HELD {
            self.script(bar, Script::Freeze);
        }
        self.script(HELD, Script::Manual(Side::Sell, TOO_MUCH));
        let mut incident = self.incident(EXEC_REPORTS, HELD + 1);
        incident.expected = vec![self.of_portfolio(Says::Breached("position"), 2)];
        incident.also_expected = vec![self.of_portfolio(Says::Warning("position"), HELD + 2)];
        incident
    }

    fn drawdown(&mut self) -> Incident {
        self.script(0, Script::Churn(LOST));
        let mut incident = self.incident(EXEC_REPORTS, 1);
        // From some way on it may only reduce, and then not trade at all, and the loop reads no control: nobody
        // acknowledges that in time.
        incident.expected = vec![
            self.of_portfolio(Says::Warning("drawdown"), 2),
            self.of_portfolio(Says::Breached("drawdown"), 2),
            self.of_portfolio(Says::Health("trading_restricted"), 2),
            self.of_portfolio(Says::Health(UNACKNOWLEDGED), 2),
            self.of_portfolio(Says::Health("halt_broken"), 2),
        ];
        // The loss stays: whoever bounds the largest loss so far is told of it too. So does the halt, and the portfolio's
        // strategy, which reads no control either, sells what it has left one day.
        incident.also_expected = vec![
            self.of_portfolio(Says::Warning("max_drawdown"), 2),
            self.of_portfolio(Says::Breached("max_drawdown"), 2),
            Expectation { by: Time::MAX, ..self.of_portfolio(Says::Warning("drawdown"), 2) },
            Expectation { by: Time::MAX, ..self.of_portfolio(Says::Breached("drawdown"), 2) },
            Expectation { by: Time::MAX, ..self.of_portfolio(Says::Health("halt_broken"), 2) },
        ];
        incident
    }

    fn stopped_feed(&mut self) -> Incident {
        let key = self.stage.instruments[self.symbol].symbol.as_str();
        let partition = self.stage.layout.partition(MARKET_DATA, key);
        // The portfolio holds the symbol when its marks stop: nobody misses marks of what nobody holds.
        let bar = self.bar - 2;
        self.script_at(bar, Script::Hold);
        self.script_at(bar + 1, Script::Freeze);
        self.plan.silence = Some((partition, self.at(0), self.at(SILENT)));
        let mut incident = self.incident(MARKET_DATA, SILENT);
        incident.partition = partition;
        incident.expected = vec![self.of_portfolio(Says::Unknown(Unknown::Stale), SILENT)];
        let all = About::AnyOf(self.stage.portfolios.to_vec());
        incident.also_expected = vec![
            self.within(all, Says::Unknown(Unknown::Stale), SILENT + 2),
            self.above(Unknown::Stale, SILENT + 2),
        ];
        incident
    }

    fn poison_records(&mut self) -> Incident {
        let portfolio = self.id();
        for turn in 0..3 {
            let bar = self.bar + 4 * turn;
            let time = Time(self.stage.bars[bar].start.micros() + 100 * SECOND);
            let bytes = poison::bytes(turn, self.random);
            self.plan.poison.push(Poison { bar, time, topic: ACCOUNTS, portfolio: portfolio.clone(), bytes });
        }
        let mut incident = self.incident(ACCOUNTS, 9);
        let component = component(&incident);
        let counted = self.within(component, Says::Health("dead_letters"), 10);
        // Bytes without an event time stand where their partition stood before them: accounts come hourly.
        incident.expected = vec![Expectation { from: Time(counted.from.micros() - 5 * BAR), ..counted }];
        incident
    }

    fn poison_burst(&mut self) -> Incident {
        let portfolio = self.id();
        for turn in 0..BURST {
            let time = Time(self.at(0).micros() + 100 * SECOND + turn as i64 * SECOND / 10);
            let bytes = poison::bytes(turn, self.random);
            let portfolio = portfolio.clone();
            self.plan.poison.push(Poison { bar: self.bar, time, topic: EXEC_REPORTS, portfolio, bytes });
        }
        // The reports of the first bar come before the burst: it stands behind them in time.
        for bar in 0..RECOVERY {
            self.bids(bar);
        }
        let mut incident = self.incident(EXEC_REPORTS, RECOVERY);
        let component = component(&incident);
        let neighbours = About::AnyOf(self.neighbours(incident.partition));
        incident.expected = vec![
            self.within(component.clone(), Says::Health("breaker_opened"), 2),
            self.of_portfolio(Says::Unknown(Unknown::SourceDown), 2),
        ];
        incident.also_expected = vec![
            self.within(component.clone(), Says::Health("dead_letters"), RECOVERY),
            self.within(component, Says::Health("late"), RECOVERY),
            self.within(neighbours.clone(), Says::Unknown(Unknown::SourceDown), RECOVERY),
            self.within(neighbours, Says::Unknown(Unknown::Stale), RECOVERY),
            self.above(Unknown::SourceDown, RECOVERY),
            self.above(Unknown::Stale, RECOVERY),
        ];
        incident
    }

    fn lost_fill(&mut self) -> Incident {
        let mut incident = self.trade(Twist::Lost);
        // The sequence number that is missing keeps heartbeats from counting until the next report comes.
        for bar in 1..=2 {
            self.bids(bar);
        }
        let neighbours = About::AnyOf(self.neighbours(incident.partition));
        incident.also_expected =
            vec![self.within(neighbours, Says::Unknown(Unknown::Stale), 4), self.above(Unknown::Stale, 4)];
        incident
    }

    fn late_execution(&mut self) -> Incident {
        let mut incident = self.trade(Twist::Late);
        incident.until = self.at(3);
        incident.also_expected = vec![self.within(component(&incident), Says::Health("late"), 4)];
        incident
    }

    fn trade(&mut self, twist: Twist) -> Incident {
        self.script(0, Script::Trade(twist));
        let topic = if twist == Twist::OffBoundary { SIGNALS } else { EXEC_REPORTS };
        self.incident(topic, 1)
    }

    fn regime(&mut self) -> Incident {
        // The first symbol is the real tape and is left as it is.
        let symbol = if self.symbol == 0 { self.stage.instruments.len() - 1 } else { self.symbol };
        let bars = ((self.slot_end - self.bar) / 2).clamp(24, 192);
        self.symbol = symbol;
        self.plan.regime = Some(Regime { symbol, bars: self.bar..self.bar + bars, factor: WILD });
        let mut incident = self.incident(MARKET_DATA, bars);
        incident.portfolio = None;
        incident
    }

    fn incident(&self, topic: &'static str, bars: usize) -> Incident {
        let symbol = self.stage.instruments[self.symbol].symbol.clone();
        let portfolio = self.id();
        let key = if topic == MARKET_DATA { symbol.as_str() } else { portfolio.as_str() };
        let (what, should_find) = self.words(symbol.as_str(), portfolio.as_str());
        Incident {
            id: format!("{:02}-{}", self.number, self.kind.as_str()),
            kind: self.kind,
            time: self.at(0),
            until: self.at(bars),
            topic: topic.into(),
            partition: self.stage.layout.partition(topic, key),
            symbol: Some(symbol),
            portfolio: Some(portfolio),
            monitor: self.kind.monitor(),
            what,
            should_find,
            expected: Vec::new(),
            also_expected: Vec::new(),
        }
    }

    fn words(&self, symbol: &str, portfolio: &str) -> (String, String) {
        let (what, find) = match self.kind {
            Kind::PositionOverLimit => (
                format!(
                    "someone buys 130,000 USD of {symbol} for {portfolio} by hand, and sells it two hours later"
                ),
                "the limit `position` breached",
            ),
            Kind::Drawdown => (
                format!(
                    "a loop buys {symbol} high and sells it low until {portfolio} has lost 21.5 % of its peak"
                ),
                "the limit `drawdown` over 15 % and then over 20 %, a halt, that nobody acknowledges it in time, and a portfolio that trades on",
            ),
            Kind::StoppedFeed => (
                format!(
                    "the marks of {symbol}, which {portfolio} holds, and of its whole partition stop for five hours"
                ),
                "limits that rest on them unknown (stale)",
            ),
            Kind::PoisonRecords => {
                (format!("three account records of {portfolio} cannot be decoded"), "three dead letters")
            }
            Kind::PoisonBurst => (
                format!("500 execution reports of {portfolio} in a row cannot be decoded"),
                "the breaker opened, what rests on the source unknown (source_down)",
            ),
            Kind::DuplicatedFill => {
                (format!("a fill of {symbol} is reported twice for {portfolio}"), "a duplicated execution")
            }
            Kind::LostFill => (
                format!("a fill of {symbol} is never reported for {portfolio}"),
                "a gap in the sequence, and a position that the fills do not explain",
            ),
            Kind::LateExecution => (
                format!(
                    "{portfolio} orders {symbol} six minutes after its decision; the fill is reported 25 minutes late"
                ),
                "an execution outside the bar discipline, and a late record",
            ),
            Kind::OffBoundaryExecution => (
                format!("{portfolio} decides to trade {symbol} in the middle of a bar"),
                "a decision off the 15-minute boundary",
            ),
            Kind::Slip => (
                format!("{portfolio} is filled in {symbol} 60 basis points worse than the market at arrival"),
                "slippage of 60 basis points",
            ),
            Kind::RegimeChange => {
                (format!("the own variation of {symbol} quadruples"), "a change of regime in its returns")
            }
        };
        (what, find.to_owned())
    }

    fn id(&self) -> PortfolioId {
        self.stage.portfolios[self.portfolio].clone()
    }

    /// The start of the bar so many after the incident's, or the end of the tape.
    fn at(&self, bars: usize) -> Time {
        let all = self.stage.bars;
        let past = all.len() - 1;
        match all.get(self.bar + bars) {
            Some(bar) => bar.start,
            None => Time(all[past].start.micros() + BAR),
        }
    }

    /// Of desks and the firm. A tape that is played by the slice has their figures behind all of the slice's portfolios.
    fn above(&self, reason: Unknown, bars: usize) -> Expectation {
        self.within(About::Above, Says::Unknown(reason), bars + SLICE)
    }

    fn within(&self, about: About, says: Says, bars: usize) -> Expectation {
        Expectation { about, says, from: self.at(0), by: self.at(bars) }
    }

    fn of_portfolio(&self, says: Says, bars: usize) -> Expectation {
        self.within(About::Portfolio(self.id()), says, bars)
    }

    /// The portfolios whose records share a partition.
    fn neighbours(&self, partition: i32) -> Vec<PortfolioId> {
        let of = |id: &&PortfolioId| self.stage.layout.partition(EXEC_REPORTS, id.as_str()) == partition;
        self.stage.portfolios.iter().filter(of).cloned().collect()
    }

    fn script(&mut self, bars: usize, script: Script) {
        self.script_at(self.bar + bars, script);
    }

    fn script_at(&mut self, bar: usize, script: Script) {
        let scripted = Scripted { bar, portfolio: self.portfolio, symbol: self.symbol, script };
        self.plan.scripts.entry(bar).or_default().push(scripted);
    }

    /// The portfolio bids for each of its symbols: reports surely come.
    fn bids(&mut self, bars: usize) {
        let bar = self.bar + bars;
        for &symbol in self.stage.universes[self.portfolio] {
            let scripted = Scripted { bar, portfolio: self.portfolio, symbol, script: Script::Bid };
            self.plan.scripts.entry(bar).or_default().push(scripted);
        }
    }
}

/// A worker's reading of the partition that an incident is in.
fn component(incident: &Incident) -> About {
    About::Component { topic: incident.topic.clone(), partition: incident.partition }
}
