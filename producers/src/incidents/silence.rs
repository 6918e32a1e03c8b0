//! A feed that stops, and the limits that rest on it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tapewatch_schemas::events::{LimitStatus, Unknown};
use tapewatch_schemas::{Scope, Time};

use super::market::LIGHT;
use super::witness::{Feed, Held, Stand, Track, Witness};

/// Measures that a limit can be on and no mark is in; the lights of backtests, which say what was, neither.
const BESIDE_MARKS: [&str; 9] = [
    "fees",
    "realised_loss",
    "message_rate",
    "peak_message_rate",
    "order_to_trade",
    "rejected_share",
    "duplicate_orders",
    "self_crossings",
    "price_away",
];

/// What the names of measures of full revaluation hold.
const REVALUED: &str = "_revalued";

/// Measures of a portfolio's equity. Value at risk and shortfall of its changes are of it, too.
const OF_EQUITY: [&str; 7] = [
    "leverage",
    "drawdown",
    "max_drawdown",
    "trailing_drawdown",
    "under_water",
    "daily_loss",
    "daily_loss_share",
];

/// One partition of a feed that stops for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The feed.
    pub feed: Feed,
    /// The partition.
    pub partition: i32,
    /// Nothing from this instant on,
    pub from: Time,
    /// and something, or its source's heartbeat, again at this one.
    pub until: Time,
    /// How old what it says may be.
    pub bound: Duration,
    /// How much later than that, or than `until`, a limit may turn.
    pub tick: Duration,
}

/// What became of the limits when a feed stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// How many limits of each scope rested on it and were known: all of them must turn unknown, and back.
    pub rested: BTreeMap<Scope, usize>,
    /// How many limits did not rest on it: none of them may turn.
    pub others: usize,
    /// Those that did not turn as they must, with how they turned.
    pub untimely: Vec<Untimely>,
}

/// A limit that did not turn in time when a feed stopped or came back, or turned when it should not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Untimely {
    /// Whose limit.
    pub scope: Scope,
    /// Its name.
    pub limit: String,
    /// What is wrong, for people.
    pub what: String,
}

/// Whether a scope rests on a feed that stops.
#[derive(Clone, Copy)]
enum Rests {
    Never,
    /// For some of the time: nothing is demanded.
    Partly,
    /// From before it stopped until it was back. The earliest and the latest instant to turn unknown.
    Throughout(Time, Time),
}

impl Silence {
    /// Judges every limit of every scope that was seen. A limit rests on marks if its scope holds one of their symbols all
    /// the while and its measure is made of marks; on accounts, if one of them is of its scope, and its measure of equity.
    /// Such a limit, known before, turns `unknown (stale)` after the bound and within a tick, stays so until the feed is
    /// back, and is known again within a tick. What does not rest on the feed is not `stale` meanwhile.
    pub fn judge(&self, witness: &Witness) -> Stopped {
        let last = witness.last((self.feed, self.partition), self.from);
        let mut scopes: BTreeMap<&Scope, Rests> = BTreeMap::new();
        let mut stopped = Stopped::default();
        for (scope, limit, track) in witness.limits() {
            let rests = *scopes.entry(scope).or_insert_with(|| self.rests(witness, scope, &last));
            let wrong = match rests {
                Rests::Partly | Rests::Throughout(..) if !self.is_in(track) => {
                    stopped.others += 1;
                    self.stays(track).err()
                }
                Rests::Never => {
                    stopped.others += 1;
                    self.stays(track).err()
                }
                Rests::Throughout(early, late) if track.at(self.from).is_some_and(Stand::is_known) => {
                    *stopped.rested.entry(scope.clone()).or_default() += 1;
                    self.turns(track, early, late).err()
                }
                Rests::Partly | Rests::Throughout(..) => None,
            };
            let untimely = |what| Untimely { scope: scope.clone(), limit: limit.to_owned(), what };
            stopped.untimely.extend(wrong.map(untimely));
        }
        stopped
    }

    /// True if a limit's measure is made of what the feed says.
    fn is_in(&self, track: &Track) -> bool {
        let measure = track.measure.as_str();
        let of_changes = ["var_", "es_"].iter().any(|tail| measure.starts_with(tail));
        if BESIDE_MARKS.contains(&measure) || measure.ends_with(LIGHT) {
            return false;
        }
        match self.feed {
            Feed::Marks => true,
            Feed::Accounts => {
                OF_EQUITY.contains(&measure) || track.of_equity || of_changes && !measure.contains(REVALUED)
            }
        }
    }

    fn rests(&self, witness: &Witness, scope: &Scope, last: &BTreeMap<&str, Time>) -> Rests {
        let (mut first, mut due) = (None::<Time>, None::<Time>);
        let earlier = |one: Option<Time>, other: Time| Some(one.map_or(other, |one| one.min(other)));
        for portfolio in witness.portfolios(scope) {
            for (of, said) in last {
                let held = match self.feed {
                    Feed::Marks => witness.held(portfolio, of, *said, self.until),
                    Feed::Accounts if portfolio.as_str() == *of => Held::Throughout,
                    Feed::Accounts => Held::Never,
                };
                if held != Held::Never {
                    first = earlier(first, *said);
                }
                if held == Held::Throughout {
                    due = earlier(due, *said);
                }
            }
        }
        match (first, due) {
            // An account is told less often than heartbeats say that it stands.
            (Some(first), Some(_)) if self.feed == Feed::Accounts => {
                Rests::Throughout(first + self.bound, self.from + self.bound + self.tick)
            }
            (Some(first), Some(due)) => Rests::Throughout(first + self.bound, due + self.bound + self.tick),
            (Some(_), None) => Rests::Partly,
            (None, _) => Rests::Never,
        }
    }

    /// That a limit turns unknown and back.
    fn turns(&self, track: &Track, early: Time, late: Time) -> Result<(), String> {
        let mut after = track.after(self.from);
        let turned = after.by_ref().find(|stand| !stand.is_known());
        let turned = turned.ok_or_else(|| format!("was never unknown; expected it by {late}"))?;
        if turned.at <= early {
            return Err(format!(
                "was unknown at {}, before what it rests on was too old, at {early}",
                turned.at
            ));
        }
        if turned.at > late {
            return Err(format!("was unknown at {} only; expected it by {late}", turned.at));
        }
        if turned.unknown != Some(Unknown::Stale) {
            return Err(format!("was {} at {}; expected it unknown (stale)", said(turned), turned.at));
        }
        let by = self.until + self.tick;
        let known = after.find(|stand| stand.is_known());
        let known = known.ok_or_else(|| format!("was never known again; expected it by {by}"))?;
        if known.at < self.until {
            return Err(format!("was {} at {}, before its feed was back", said(known), known.at));
        }
        if known.at > by {
            return Err(format!("was known again at {} only; expected it by {by}", known.at));
        }
        Ok(())
    }

    /// That a limit has nothing to do with it.
    fn stays(&self, track: &Track) -> Result<(), String> {
        let stale = |stand: &Stand| stand.at < self.until && stand.unknown == Some(Unknown::Stale);
        match track.after(self.from).find(stale) {
            Some(stand) => Err(format!("was stale at {}, and rests on nothing that had stopped", stand.at)),
            None => Ok(()),
        }
    }
}

/// Where a limit stands, for people.
fn said(stand: Stand) -> String {
    let status = match stand.status {
        LimitStatus::Ok => "ok",
        LimitStatus::Warning => "warning",
        LimitStatus::Breached => "breached",
        LimitStatus::Unknown => "unknown",
        LimitStatus::NotInForce => "not_in_force",
    };
    stand.unknown.map_or_else(|| status.to_owned(), |why| format!("{status} ({})", why.as_str()))
}

#[cfg(test)]
mod tests {
    use tapewatch_schemas::events::{Account, LimitState, Occasion, Provenance, RiskMetrics, TradingLevel};
    use tapewatch_schemas::{Amount, Event, RecordId};

    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn account(portfolio: &str, at: i64) -> Event {
        let nothing = Amount::default();
        Event::Account(Account {
            source: "oms".into(),
            sequence: at,
            event_time: Time(at),
            portfolio: portfolio.into(),
            currency: "USD".into(),
            cash: nothing,
            equity: nothing,
            deposits: nothing,
            withdrawals: nothing,
        })
    }

    /// A limit on the drawdown and one on the position, as they stand.
    fn figures(scope: &str, at: i64, drawdown: Option<Unknown>) -> Event {
        let limit = |measure: &str, unknown: Option<Unknown>| LimitState {
            limit: measure.to_owned(),
            measure: measure.to_owned(),
            status: if unknown.is_some() { LimitStatus::Unknown } else { LimitStatus::Ok },
            previous: None,
            since: Time(at),
            value: None,
            soft: None,
            hard: None,
            utilisation: None,
            unknown,
            symbol: None,
            calls_for: TradingLevel::Normal,
            of_equity: false,
            overridden: None,
            symbols: Vec::new(),
        };
        Event::RiskMetrics(RiskMetrics {
            provenance: Provenance::default(),
            id: RecordId::default(),
            event_time: Time(at),
            scope: scope.into(),
            occasion: Occasion::Interval,
            currency: "USD".into(),
            measures: Vec::new(),
            limits: vec![limit("drawdown", drawdown), limit("position", None)],
        })
    }

    fn book(portfolio: &str) -> Event {
        Event::Holdings(tapewatch_schemas::events::Holdings {
            provenance: Provenance::default(),
            id: RecordId::default(),
            event_time: Time(0),
            portfolio: portfolio.into(),
            currency: "USD".into(),
            opened: true,
            unknown: None,
            filled_at: None,
            account: None,
            account_unknown: None,
            profit: None,
            conduct: None,
            holdings: Vec::new(),
        })
    }

    /// The account of p, told each hour, is silent from three to eight; a desk of p and q, and q, whose account is told.
    fn judged(unknown: i64, known: i64) -> Stopped {
        let mut witness = Witness::of([("desk:d".into(), ["p".into(), "q".into()].into())]);
        for hour in (0..=2).chain(8..=9) {
            witness.see(1, &account("p", hour * HOUR));
        }
        (0..=9).for_each(|hour| witness.see(0, &account("q", hour * HOUR)));
        ["p", "q"].into_iter().for_each(|portfolio| witness.see(0, &book(portfolio)));
        for scope in ["p", "q", "desk:d"] {
            witness.see(0, &figures(scope, 0, None));
            if scope != "q" {
                witness.see(0, &figures(scope, unknown, Some(Unknown::Stale)));
                witness.see(0, &figures(scope, known, None));
            }
        }
        let (from, until) = (Time(3 * HOUR), Time(8 * HOUR));
        let (bound, tick) = (Duration::from_secs(7200), Duration::from_secs(900));
        Silence { feed: Feed::Accounts, partition: 1, from, until, bound, tick }.judge(&witness)
    }

    #[test]
    fn what_rests_on_an_account_turns_with_it_and_nothing_else() {
        let stopped = judged(5 * HOUR, 8 * HOUR);
        assert_eq!(stopped.untimely, []);
        assert_eq!((stopped.rested.values().sum::<usize>(), stopped.others), (2, 4));
        for (unknown, known, what) in [
            (5 * HOUR + HOUR / 2, 8 * HOUR, "only; expected it by"),
            (4 * HOUR, 8 * HOUR, "too old"),
            (5 * HOUR, 7 * HOUR, "before its feed was back"),
            (5 * HOUR, 9 * HOUR, "was known again at"),
        ] {
            let untimely = judged(unknown, known).untimely;
            assert_eq!(untimely.len(), 2, "{what}: {untimely:?}");
            assert!(untimely.iter().all(|one| one.what.contains(what)), "{what}: {untimely:?}");
        }
    }
}
