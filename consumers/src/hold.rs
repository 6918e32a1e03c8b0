//! Keys that are held behind a dead letter: under `hold_key` what follows of the key is a dead letter too,
//! until all of them came back, in order.
//!
//! A key is held from the first dead letter of it on. What is published of it later is lettered as
//! `held_behind`, whatever it is. What comes back is admitted in the order in which it was published first:
//! if one fails again, those behind it are lettered again, until it comes back and is settled. The key is
//! released when the newest of its letters is settled; one that was lettered while the others were on their
//! way back keeps it held, for a further run. All of this is a function of the task's inputs in their order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tapewatch_eventlog::RecordRef;
use tapewatch_eventlog::dead_letter::Redriven;
use tapewatch_schemas::TopicName;

/// Which topics hold keys, and how many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldParameters {
    /// The topics under `hold_key`.
    pub topics: Vec<TopicName>,
    /// The most keys that a task holds; then it takes nothing more of these topics until one is released.
    pub most: usize,
}

/// A record of a topic that holds keys.
#[derive(Clone, Copy, Debug)]
pub struct Holding<'a> {
    topic: &'a TopicName,
    key: &'a [u8],
    /// Where it was published first.
    offset: i64,
    /// True if it came back.
    back: bool,
    /// True if all of the key up to it is settled with it.
    through: bool,
}

/// The keys that a task holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldKeys(BTreeMap<TopicName, BTreeMap<Vec<u8>, Held>>);

/// One key. Offsets are those of the first publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    /// The letter that those behind it wait for; none while what was sent back goes well.
    barrier: Option<i64>,
    /// The newest of what came back and was lettered again since the barrier stands.
    again: i64,
    /// The newest letter.
    last: i64,
}

impl HoldParameters {
    /// What holding is about, of a record that holds a key.
    pub fn holding<'a>(
        &self,
        topic: &'a TopicName,
        record: &RecordRef<'a>,
        redriven: Option<&Redriven>,
    ) -> Option<Holding<'a>> {
        if self.topics.is_empty() || !self.topics.contains(topic) {
            return None;
        }
        let key = record.key?;
        let Some(back) = redriven else {
            return Some(Holding { topic, key, offset: record.offset, back: false, through: false });
        };
        // One that was repaired and now belongs to another key's partition stands in no order here.
        let ordered = back.source.topic == *topic && back.source.partition == record.partition;
        ordered.then_some(Holding { topic, key, offset: back.offset, back: true, through: back.through })
    }
}

impl HeldKeys {
    /// How many keys are held.
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// True if none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get(&self, one: &Holding<'_>) -> Option<&Held> {
        self.0.get(one.topic)?.get(one.key)
    }

    /// The letter behind which the record must wait, if it must: the offset where that was published first.
    pub fn blocks(&self, one: &Holding<'_>) -> Option<i64> {
        let held = self.get(one)?;
        match held.barrier {
            _ if !one.back => Some(held.barrier.unwrap_or(held.last)),
            Some(barrier) if one.offset > barrier => Some(barrier),
            _ => None,
        }
    }

    /// The record is a dead letter, of a key that is held from now on if it was not. Beyond `most` keys no
    /// further one is held.
    pub fn letter(&mut self, one: &Holding<'_>, most: usize) {
        let full = self.len() >= most;
        let keys = self.0.entry(one.topic.clone()).or_default();
        match keys.get_mut(one.key) {
            Some(held) => {
                held.last = held.last.max(one.offset);
                if one.back {
                    held.barrier = Some(held.barrier.map_or(one.offset, |barrier| barrier.min(one.offset)));
                    held.again = held.again.max(one.offset);
                }
            }
            None if !full => {
                let offset = one.offset;
                keys.insert(one.key.to_vec(), Held { barrier: Some(offset), again: offset, last: offset });
            }
            None => {}
        }
        self.0.retain(|_, keys| !keys.is_empty());
    }

    /// The record came back and was taken, or was given up.
    pub fn settle(&mut self, one: &Holding<'_>) {
        if !one.back {
            return;
        }
        let Some(keys) = self.0.get_mut(one.topic) else { return };
        let Some(held) = keys.get_mut(one.key) else { return };
        match held.barrier {
            // What may be behind the barrier is at or before it; what is left comes in its order.
            Some(barrier) if one.through && barrier > one.offset => return,
            _ if one.through => held.barrier = None,
            Some(barrier) if one.offset < barrier => return,
            // Given up although one before it failed again: what is newest now is what was lettered again.
            Some(barrier) if one.offset > barrier => {
                if one.offset >= held.last {
                    held.last = held.again;
                }
                return;
            }
            _ => held.barrier = None,
        }
        if one.offset >= held.last {
            keys.remove(one.key);
            if keys.is_empty() {
                self.0.remove(one.topic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Desk {
        topic: TopicName,
        keys: HeldKeys,
    }

    impl Desk {
        fn new() -> Self {
            Self { topic: "t".into(), keys: HeldKeys::default() }
        }

        fn one(&self, offset: i64, back: bool) -> (TopicName, i64, bool) {
            (self.topic.clone(), offset, back)
        }

        /// A record of the key: true if it is taken.
        fn comes(&mut self, offset: i64, back: bool, good: bool) -> bool {
            let (topic, offset, back) = self.one(offset, back);
            let one = Holding { topic: &topic, key: b"k", offset, back, through: false };
            if self.keys.blocks(&one).is_some() || !good {
                self.keys.letter(&one, 10);
                return false;
            }
            self.keys.settle(&one);
            true
        }

        fn holds(&self) -> bool {
            !self.keys.is_empty()
        }
    }

    #[test]
    fn what_follows_a_dead_letter_waits_until_all_came_back() {
        let mut desk = Desk::new();
        assert!(desk.comes(1, false, true) && !desk.holds());
        assert!(!desk.comes(2, false, false) && !desk.comes(3, false, true) && desk.holds());
        assert!(desk.comes(2, true, true) && desk.holds());
        assert!(!desk.comes(4, false, true), "the live one waits, although the barrier is gone");
        assert!(desk.comes(3, true, true) && desk.holds(), "4 was lettered meanwhile");
        assert!(desk.comes(4, true, true) && !desk.holds());
        assert!(desk.comes(5, false, true));
    }

    #[test]
    fn one_that_fails_again_holds_those_behind_it_again() {
        let mut desk = Desk::new();
        (2..6).for_each(|offset| assert!(!desk.comes(offset, false, offset != 2)));
        assert!(!desk.comes(3, true, true), "not before 2");
        assert!(!desk.comes(2, true, false));
        assert!((3..6).all(|offset| !desk.comes(offset, true, true)));
        assert!(desk.comes(2, true, true) && desk.comes(3, true, true));
        assert!(!desk.comes(4, true, false) && !desk.comes(5, true, true));
        assert!(desk.comes(4, true, true) && desk.holds() && desk.comes(5, true, true) && !desk.holds());
    }

    #[test]
    fn the_newest_given_up_out_of_turn_leaves_the_rest_in_order() {
        let mut desk = Desk::new();
        (2..5).for_each(|offset| assert!(!desk.comes(offset, false, offset != 2)));
        assert!(!desk.comes(2, true, false) && !desk.comes(3, true, true));
        let topic = desk.topic.clone();
        desk.keys.settle(&Holding { topic: &topic, key: b"k", offset: 4, back: true, through: false });
        assert!(desk.holds() && desk.comes(2, true, true) && desk.holds());
        assert!(desk.comes(3, true, true) && !desk.holds());
    }

    #[test]
    fn what_is_gone_is_given_up_and_what_is_left_keeps_its_order() {
        let mut desk = Desk::new();
        let topic = desk.topic.clone();
        let through = |offset| Holding { topic: &topic, key: b"k", offset, back: true, through: true };
        (2..6).for_each(|offset| assert!(!desk.comes(offset, false, offset != 2)));
        desk.keys.settle(&through(1));
        assert!(!desk.comes(3, true, true), "nothing of it was before 2");
        // 2 and 3 are gone.
        desk.keys.settle(&through(3));
        assert!(!desk.comes(6, false, true), "a live one waits for those that are left");
        assert!(desk.comes(4, true, true) && desk.comes(5, true, true) && desk.holds());
        // And now 6, the newest.
        desk.keys.settle(&through(6));
        assert!(!desk.holds() && desk.comes(7, false, true));
    }

    #[test]
    fn no_more_keys_are_held_than_may_be() {
        let mut desk = Desk::new();
        let topic = desk.topic.clone();
        for number in 0..20_u8 {
            desk.keys.letter(
                &Holding { topic: &topic, key: &[number], offset: 0, back: false, through: false },
                10,
            );
        }
        assert_eq!(desk.keys.len(), 10);
    }
}
