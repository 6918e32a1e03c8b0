//! What is traded a day, and the days that selling would take.

use tapewatch_schemas::events::MarketData;
use tapewatch_schemas::{Amount, Time};

use crate::endurance::{Kept, Past, Twofold, Update, endures, same};
use crate::risk::day::DayParameters;
use crate::risk::liquidity::{Came, Liquidity, LiquidityParameters, Sale};
use crate::risk::measure::Bounded;

const DAYS: usize = 21;
/// Seconds from one record to the next: a day has 864.
const STEP: i64 = 100;
const A_DAY: u64 = 864;
const PARTICIPATION: f64 = 0.1;

struct Volumes {
    liquidity: Liquidity,
    record: MarketData,
}

fn volume(one: Update) -> i64 {
    one.units.abs()
}

impl Kept for Volumes {
    fn update(&mut self, one: Update) {
        self.record.volume = Some(Amount::from_unscaled(i128::from(volume(one)) * 1_000_000).unwrap());
        let came = Came { is_mark: true, is_late: false, again: false };
        let now = Time::from_secs(one.nth as i64 * STEP);
        self.liquidity.take(0, &self.record, (0, came), now, &DayParameters::default());
    }

    fn compare(&mut self, past: Past) {
        // Of whole days, without the first.
        let today = (past.shown - 1) / A_DAY;
        let from = today.saturating_sub(DAYS as u64).max(1);
        let days = today.saturating_sub(from);
        let sale = Sale { symbol: 0, quantity: 1e3, value: 1e5 };
        let (kept, _) = self.liquidity.figure(Bounded::DaysToLiquidate, [sale].into_iter());
        if days == 0 {
            assert!(kept.is_err());
            return;
        }
        let within = past.all().filter(|one| (from * A_DAY..today * A_DAY).contains(&one.nth));
        let sum = within.map(|one| i128::from(volume(one))).sum::<i128>();
        let average = Twofold::of(sum as f64).over(Twofold::of(1e6 * days as f64));
        let scratch = Twofold::of(1e3).over(average.times(Twofold::of(PARTICIPATION)));
        same(("days", past.shown), kept.unwrap(), scratch.value());
    }
}

#[test]
fn a_volume_is_the_mean_of_the_last_days() {
    let parameters = LiquidityParameters { participation: PARTICIPATION, days: DAYS, minimum: 1 };
    let record = MarketData {
        source: "tape".into(),
        sequence: 0,
        event_time: Time(0),
        symbol: "A".into(),
        currency: "USD".into(),
        bid: None,
        ask: None,
        last: Some(Amount::ONE),
        bid_size: None,
        ask_size: None,
        volume: None,
        venue: None,
    };
    endures(Volumes { liquidity: Liquidity::new(Some(parameters)), record }, 71);
}
