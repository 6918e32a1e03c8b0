//! The last so many values, kept sorted.

use std::collections::VecDeque;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The last `capacity` values in order of arrival and in ascending order.
///
/// One more value costs two binary searches and one short move of memory. Its state is the values in
/// order of arrival: nothing accumulates, so nothing drifts.
#[derive(Clone, Debug, PartialEq)]
pub struct SortedWindow {
    capacity: usize,
    arrived: VecDeque<f64>,
    sorted: Vec<f64>,
}

impl SortedWindow {
    /// An empty window of at least one value.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), arrived: VecDeque::new(), sorted: Vec::new() }
    }

    /// Adds a value; the oldest leaves if the window is full. The caller keeps NaN out.
    pub fn push(&mut self, value: f64) {
        debug_assert!(!value.is_nan(), "NaN has no place among sorted values");
        let oldest = if self.arrived.len() == self.capacity { self.arrived.pop_front() } else { None };
        self.arrived.push_back(value);
        let to = self.rank(value);
        match oldest.map(|old| self.rank(old)) {
            None => self.sorted.insert(to, value),
            // The gap that the oldest leaves moves to where the new one belongs.
            Some(from) if from < to => {
                self.sorted.copy_within(from + 1..to, from);
                self.sorted[to - 1] = value;
            }
            Some(from) => {
                self.sorted.copy_within(to..from, to + 1);
                self.sorted[to] = value;
            }
        }
    }

    /// Takes the oldest away, if there is one.
    pub fn drop_oldest(&mut self) {
        if let Some(old) = self.arrived.pop_front() {
            self.sorted.remove(self.rank(old));
        }
    }

    /// The place of the first sorted value that is not below `value`, in IEEE 754's total order.
    fn rank(&self, value: f64) -> usize {
        self.sorted.partition_point(|x| x.total_cmp(&value).is_lt())
    }

    /// The values, ascending.
    pub fn sorted(&self) -> &[f64] {
        &self.sorted
    }

    /// The values, oldest first.
    pub fn arrived(&self) -> impl Iterator<Item = f64> + '_ {
        self.arrived.iter().copied()
    }

    /// The values, oldest first, side by side.
    pub fn in_order(&mut self) -> &[f64] {
        self.arrived.make_contiguous()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// From values in order of arrival; the oldest are dropped if they are too many.
    pub fn from_values(capacity: usize, values: impl IntoIterator<Item = f64>) -> Self {
        let mut window = Self::new(capacity);
        window.arrived.extend(values);
        let excess = window.arrived.len().saturating_sub(window.capacity);
        window.arrived.drain(..excess);
        window.sorted.extend(&window.arrived);
        window.sorted.sort_unstable_by(f64::total_cmp);
        window
    }
}

impl Serialize for SortedWindow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.capacity as u64, &self.arrived).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SortedWindow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (capacity, values) = <(u64, Vec<f64>)>::deserialize(deserializer)?;
        let capacity = usize::try_from(capacity).map_err(serde::de::Error::custom)?;
        Ok(Self::from_values(capacity, values))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_equals_the_last_values_sorted_from_scratch(
            values in prop::collection::vec(-50_i32..50, 0..200),
            capacity in 1_usize..40,
        ) {
            let mut window = SortedWindow::new(capacity);
            let mut seen = Vec::new();
            for value in values {
                let value = f64::from(value) / 4.0;
                window.push(value);
                seen.push(value);
                let mut expected = seen[seen.len().saturating_sub(capacity)..].to_vec();
                expected.sort_by(f64::total_cmp);
                prop_assert_eq!(window.sorted(), &expected[..]);
            }
            let bytes = postcard::to_allocvec(&window).unwrap();
            let back: SortedWindow = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(&back, &window);
            let kept: Vec<f64> = window.arrived().collect();
            for gone in 1..=kept.len() + 1 {
                window.drop_oldest();
                let kept = kept.iter().copied().skip(gone);
                prop_assert_eq!(&window, &SortedWindow::from_values(capacity, kept));
            }
        }
    }
}
