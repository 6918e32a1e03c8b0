//! Seeded random numbers, the same on every machine and in every release.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What a stream of random numbers is for. Streams of one seed are independent, so that one more draw in
/// one place moves nothing elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A symbol's own variation.
    Symbol(usize),
    /// A portfolio's trading.
    Portfolio(usize),
    /// Which symbols a portfolio trades.
    Universe,
    /// Where incidents are put.
    Incidents,
    /// What the incidents write.
    Poison,
}

impl Purpose {
    fn stream(self) -> u64 {
        match self {
            Self::Universe => 1,
            Self::Incidents => 2,
            Self::Poison => 3,
            Self::Symbol(index) => 0x1_0000 + index as u64,
            Self::Portfolio(index) => 0x2_0000 + index as u64,
        }
    }
}

/// A stream of random numbers (ChaCha with 8 rounds: its output is fixed by its definition).
#[derive(Clone, Debug)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// The stream of `seed` for a purpose.
    pub(crate) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(purpose.stream());
        Self(rng)
    }

    /// Uniform in [0, 1): 53 bits.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in 0..bound; 0 if the bound is 0. The bias is below bound / 2⁶⁴.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform in low..=high.
    pub(crate) fn whole(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).max(1) as u64) as i64
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Standard normal (Box and Muller 1958, the cosine half).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    /// Puts a slice in random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// Random bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_fixed_and_apart() {
        let first = |purpose| Random::new(7, purpose).0.next_u64();
        // Recorded once: another number here means another tape for every seed.
        assert_eq!(first(Purpose::Universe), 18_301_176_669_829_311_175);
        assert_ne!(first(Purpose::Universe), first(Purpose::Incidents));
        assert_ne!(first(Purpose::Symbol(0)), first(Purpose::Portfolio(0)));
    }

    #[test]
    fn normal_has_mean_zero_and_variance_one() {
        let mut random = Random::new(1, Purpose::Symbol(0));
        let draws: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn bounds_hold() {
        let mut random = Random::new(2, Purpose::Poison);
        for _ in 0..1000 {
            assert!(random.below(7) < 7);
            assert!((3..=5).contains(&random.whole(3, 5)));
            assert!((0.0..1.0).contains(&random.uniform()));
        }
        assert_eq!(random.below(0), 0);
    }
}
