//! Published risk figures, compared: a peer that computes something else is no peer.

use std::collections::HashMap;

use tapewatch_schemas::Event;
use tapewatch_schemas::catalogue as c;
use tapewatch_schemas::events::{LimitStatus, Occasion, RiskMetrics};

use crate::Failure;
use crate::stage::Stage;

/// How far apart two figures may be, of the larger one; of 1 if both are smaller.
const TOLERANCE: f64 = 1e-9;

/// What was said of one portfolio, at one instant, on one occasion.
type Moment = (String, i64, Occasion);

/// All risk figures of a topic.
pub struct Figures {
    moments: HashMap<Moment, Said>,
}

/// Measures and limits' values by name, and where limits stood.
#[derive(Default)]
struct Said {
    values: HashMap<String, Option<f64>>,
    standings: HashMap<String, LimitStatus>,
}

impl Said {
    fn of(record: RiskMetrics) -> Self {
        let mut said = Self::default();
        for measure in record.measures {
            said.values.insert(measure.name, measure.value);
        }
        for limit in record.limits {
            said.values.insert(format!("limit {}", limit.limit), limit.value);
            said.standings.insert(limit.limit, limit.status);
        }
        said
    }
}

impl Figures {
    /// Reads a topic of records of `risk.metrics.v1`.
    ///
    /// # Errors
    /// If a record is something else, or says another thing of a moment than one before it.
    pub fn read(stage: &Stage, topic: &str) -> Result<Self, Failure> {
        let mut moments = HashMap::new();
        stage.read(topic, |batch| {
            for record in batch.iter() {
                let value = record.value.unwrap_or_default();
                let Event::RiskMetrics(record) = stage.codec.decode(c::RISK_METRICS, value)? else {
                    return Err(format!("{topic} has a record that is not of risk figures").into());
                };
                let moment = (record.scope.0.to_string(), record.event_time.0, record.occasion);
                if moments.insert(moment, Said::of(record)).is_some() {
                    return Err(format!("{topic} says something twice").into());
                }
            }
            Ok(())
        })?;
        Ok(Self { moments })
    }

    /// How many moments.
    pub fn len(&self) -> usize {
        self.moments.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.moments.is_empty()
    }

    /// Compares every figure and every limit's state that a peer published with what these say of the same
    /// moment; how many figures they were.
    ///
    /// # Errors
    /// The first that differs, or that these do not have; or if less than 99 of 100 moments were compared.
    pub fn confirm(&self, peer: &Self) -> Result<u64, Failure> {
        let mut compared = 0;
        for (moment, theirs) in &peer.moments {
            let ours = self.moments.get(moment).ok_or_else(|| format!("{moment:?} is the peer's alone"))?;
            for (name, their) in &theirs.values {
                let our = ours.values.get(name).copied().flatten();
                if !near(our, *their) {
                    return Err(format!("{name} of {moment:?}: {our:?}, by the peer {their:?}").into());
                }
                compared += 1;
            }
            if ours.standings != theirs.standings {
                let (ours, theirs) = (&ours.standings, &theirs.standings);
                return Err(format!("limits of {moment:?}: {ours:?}, by the peer {theirs:?}").into());
            }
        }
        if peer.len() * 100 < self.len() * 99 {
            return Err(format!("the peer published {} moments of {}", peer.len(), self.len()).into());
        }
        Ok(compared)
    }
}

fn near(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(1.0),
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(moments: &[(i64, f64, LimitStatus)]) -> Figures {
        let said = |value, status| Said {
            values: HashMap::from([("var_95".to_owned(), Some(value))]),
            standings: HashMap::from([("var_95".to_owned(), status)]),
        };
        let one = |(at, value, status): &(i64, f64, LimitStatus)| {
            (("p".to_owned(), *at, Occasion::Interval), said(*value, *status))
        };
        Figures { moments: moments.iter().map(one).collect() }
    }

    #[test]
    fn a_peer_that_says_the_same_is_confirmed() {
        let ours = figures(&[(1, 5.0, LimitStatus::Ok)]);
        assert_eq!(ours.confirm(&figures(&[(1, 5.0 + 1e-10, LimitStatus::Ok)])).unwrap(), 1);
    }

    #[test]
    fn a_peer_that_says_another_thing_is_not() {
        let ours = figures(&[(1, 5.0, LimitStatus::Ok)]);
        for other in [
            &[(1, 5.000_001, LimitStatus::Ok)][..],
            &[(1, f64::NAN, LimitStatus::Ok)],
            &[(1, 5.0, LimitStatus::Breached)],
            &[(2, 5.0, LimitStatus::Ok)],
            &[(1, 5.0, LimitStatus::Ok), (2, 5.0, LimitStatus::Ok)],
            &[],
        ] {
            assert!(ours.confirm(&figures(other)).is_err(), "{other:?}");
        }
    }
}
