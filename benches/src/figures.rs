//! Published risk figures, compared: a peer that computes something else is no peer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

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

/// A name that many moments share.
type Name = Arc<str>;

/// Measures, and limits' values and states, by name.
struct Said {
    measures: Vec<(Name, Option<f64>)>,
    limits: Vec<(Name, Option<f64>, LimitStatus)>,
}

impl Said {
    fn of(record: &RiskMetrics, names: &mut HashSet<Name>) -> Self {
        let mut name = |text: &str| {
            names.get(text).cloned().unwrap_or_else(|| {
                let fresh = Name::from(text);
                names.insert(Arc::clone(&fresh));
                fresh
            })
        };
        Self {
            measures: record.measures.iter().map(|m| (name(&m.name), m.value)).collect(),
            limits: record.limits.iter().map(|l| (name(&l.limit), l.value, l.status)).collect(),
        }
    }

    /// That a peer says the same of every measure that it knows, and of every limit; how many figures that were.
    fn confirm(&self, peer: &Self) -> Result<u64, String> {
        for (name, their) in &peer.measures {
            let our = self.measures.iter().find(|(ours, _)| ours == name).map(|(_, our)| *our);
            if !our.is_some_and(|our| near(our, *their)) {
                return Err(format!("{name}: {:?}, by the peer {their:?}", our.flatten()));
            }
        }
        let same = |(ours, theirs): (&(Name, _, _), &(Name, _, _))| {
            ours.0 == theirs.0 && near(ours.1, theirs.1) && ours.2 == theirs.2
        };
        if self.limits.len() != peer.limits.len() || !self.limits.iter().zip(&peer.limits).all(same) {
            return Err(format!("limits: {:?}, by the peer {:?}", self.limits, peer.limits));
        }
        Ok((peer.measures.len() + peer.limits.len()) as u64)
    }
}

impl Figures {
    /// Reads a topic of records of `risk.metrics.v1`.
    ///
    /// # Errors
    /// If a record is something else, or says another thing of a moment than one before it.
    pub fn read(stage: &Stage, topic: &str) -> Result<Self, Failure> {
        let (mut moments, mut names) = (HashMap::new(), HashSet::new());
        stage.read(topic, |batch| {
            for record in batch.iter() {
                let value = record.value.unwrap_or_default();
                let Event::RiskMetrics(record) = stage.codec.decode(c::RISK_METRICS, value)? else {
                    return Err(format!("{topic} has a record that is not of risk figures").into());
                };
                let moment = (record.scope.0.to_string(), record.event_time.0, record.occasion);
                if moments.insert(moment, Said::of(&record, &mut names)).is_some() {
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
            compared += ours.confirm(theirs).map_err(|error| format!("{moment:?}: {error}"))?;
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
            measures: vec![("var_95".into(), Some(value))],
            limits: vec![("loss".into(), Some(1.0), status)],
        };
        let one = |(at, value, status): &(i64, f64, LimitStatus)| {
            (("p".to_owned(), *at, Occasion::Interval), said(*value, *status))
        };
        Figures { moments: moments.iter().map(one).collect() }
    }

    #[test]
    fn a_peer_that_says_the_same_is_confirmed() {
        let ours = figures(&[(1, 5.0, LimitStatus::Ok)]);
        assert_eq!(ours.confirm(&figures(&[(1, 5.0 + 1e-10, LimitStatus::Ok)])).unwrap(), 2);
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
