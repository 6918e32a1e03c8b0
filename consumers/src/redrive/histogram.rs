//! What a run chooses, counted.

use std::collections::BTreeMap;
use std::time::Duration;

use tapewatch_schemas::Time;

use super::candidate::Candidate;

/// So many keys are counted by name.
const MOST_KEYS: usize = 10_000;

/// What is chosen, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// By reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// By worker.
    pub workers: BTreeMap<String, u64>,
    /// By key; the first 10,000 keys that came up.
    pub keys: BTreeMap<Vec<u8>, u64>,
    /// Records of further keys, or without one.
    pub other_keys: u64,
    /// By the hour in which they were dead-lettered.
    pub hours: BTreeMap<Time, u64>,
}

impl Histogram {
    pub(super) fn count(&mut self, one: &Candidate) {
        *self.reasons.entry(one.back.reason.as_str()).or_default() += 1;
        *self.workers.entry(one.back.worker.clone()).or_default() += 1;
        *self.hours.entry(one.written.floor_to(Duration::from_secs(3600))).or_default() += 1;
        self.count_key(one.key.as_deref(), 1);
    }

    fn count_key(&mut self, key: Option<&[u8]>, count: u64) {
        match key {
            Some(key) if self.keys.contains_key(key) || self.keys.len() < MOST_KEYS => {
                *self.keys.entry(key.to_owned()).or_default() += count;
            }
            _ => self.other_keys += count,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        other.reasons.iter().for_each(|(name, count)| *self.reasons.entry(name).or_default() += count);
        for (name, count) in &other.workers {
            *self.workers.entry(name.clone()).or_default() += count;
        }
        other.hours.iter().for_each(|(hour, count)| *self.hours.entry(*hour).or_default() += count);
        other.keys.iter().for_each(|(key, count)| self.count_key(Some(key), *count));
        self.other_keys += other.other_keys;
    }
}
