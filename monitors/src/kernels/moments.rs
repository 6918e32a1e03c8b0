//! Mean, deviation, skewness and kurtosis of a sample.

use super::sample::{Sample, SampleError, finite, shift};

/// The first four moments, central ones around the mean.
///
/// Two passes, the second around the first's mean: as exact for a sample far from zero as for one around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    n: usize,
    /// Mean and sums of powers of the differences from it, all of the values × 2^−exponent.
    mean: f64,
    second: f64,
    third: f64,
    fourth: f64,
    exponent: i32,
}

impl Moments {
    /// Of a sample.
    pub fn of(sample: Sample<'_>) -> Self {
        let (values, exponent) = sample.scaled();
        let n = values.len();
        let mut moments = Self { n, mean: values[0], second: 0.0, third: 0.0, fourth: 0.0, exponent };
        if sample.is_constant() {
            return moments;
        }
        let rough = values.iter().sum::<f64>() / n as f64;
        moments.mean = rough + values.iter().map(|value| value - rough).sum::<f64>() / n as f64;
        for value in values.iter() {
            let difference = value - moments.mean;
            let square = difference * difference;
            moments.second += square;
            moments.third += square * difference;
            moments.fourth += square * square;
        }
        moments
    }

    /// The arithmetic mean.
    pub fn mean(&self) -> f64 {
        shift(self.mean, self.exponent)
    }

    /// The standard deviation, its square divided by n − `ddof`: 0 for the population's, 1 for the sample's.
    ///
    /// # Errors
    /// There are not more than `ddof` values, or it is beyond what a double holds.
    pub fn deviation(&self, ddof: usize) -> Result<f64, SampleError> {
        if self.n <= ddof {
            return Err(SampleError::TooFew { have: self.n, want: ddof + 1 });
        }
        let variance = self.second / (self.n - ddof) as f64;
        finite(shift(libm::sqrt(variance), self.exponent), "the standard deviation")
    }

    /// The population's skewness: m₃ / m₂^1.5, moments divided by n.
    ///
    /// # Errors
    /// All values are equal.
    pub fn skewness(&self) -> Result<f64, SampleError> {
        let variance = self.variance("skewness")?;
        Ok(self.third / self.n as f64 / (variance * libm::sqrt(variance)))
    }

    /// The population's excess kurtosis: m₄ / m₂² − 3, moments divided by n.
    ///
    /// # Errors
    /// All values are equal.
    pub fn excess_kurtosis(&self) -> Result<f64, SampleError> {
        let variance = self.variance("kurtosis")?;
        Ok(self.fourth / self.n as f64 / (variance * variance) - 3.0)
    }

    fn variance(&self, figure: &'static str) -> Result<f64, SampleError> {
        if self.second > 0.0 {
            Ok(self.second / self.n as f64)
        } else {
            Err(SampleError::Constant { figure })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Moments {
        Moments::of(Sample::new(values).unwrap())
    }

    /// By hand: mean 3, differences −2, −1, −1, 0, 4.
    #[test]
    fn they_are_what_they_are_by_hand() {
        let moments = of(&[1.0, 2.0, 2.0, 3.0, 7.0]);
        assert_eq!(moments.mean(), 3.0);
        assert!((moments.deviation(0).unwrap() - libm::sqrt(22.0 / 5.0)).abs() < 1e-15);
        assert!((moments.deviation(1).unwrap() - libm::sqrt(22.0 / 4.0)).abs() < 1e-15);
        let variance: f64 = 22.0 / 5.0;
        assert!((moments.skewness().unwrap() - 54.0 / 5.0 / variance.powf(1.5)).abs() < 1e-14);
        assert!(
            (moments.excess_kurtosis().unwrap() - (274.0 / 5.0 / (variance * variance) - 3.0)).abs() < 1e-14
        );
    }

    #[test]
    fn a_constant_has_no_shape() {
        let moments = of(&[0.1; 7]);
        assert_eq!((moments.mean(), moments.deviation(1).unwrap()), (0.1, 0.0));
        assert_eq!(moments.skewness(), Err(SampleError::Constant { figure: "skewness" }));
        assert_eq!(of(&[2.0]).deviation(1), Err(SampleError::TooFew { have: 1, want: 2 }));
    }

    #[test]
    fn size_does_not_matter() {
        let values = [1.0, 2.0, 2.0, 3.0, 7.0];
        let plain = of(&values);
        for scale in [libm::ldexp(1.0, 1000), libm::ldexp(1.0, -1060)] {
            let scaled = of(&values.map(|value| value * scale));
            assert_eq!(scaled.mean(), 3.0 * scale);
            // A result among the subnormal has fewer digits.
            assert!((scaled.deviation(0).unwrap() / scale / plain.deviation(0).unwrap() - 1.0).abs() < 1e-4);
            assert!((scaled.skewness().unwrap() / plain.skewness().unwrap() - 1.0).abs() < 1e-12);
        }
    }
}
