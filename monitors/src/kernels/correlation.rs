//! How series of returns move together.

use super::ewma::weight_of_the_past;
use super::matrix::SymmetricMatrix;
use super::sample::{Sample, SampleError, finite, shift};

/// Series of returns side by side: one a holding, equally long.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel<'a> {
    series: Vec<Sample<'a>>,
}

impl<'a> Panel<'a> {
    /// Looks at the series.
    ///
    /// # Errors
    /// There is none, they differ in length, or have fewer than two values.
    pub fn new(series: Vec<Sample<'a>>) -> Result<Self, SampleError> {
        let first = series.first().ok_or(SampleError::TooFew { have: 0, want: 1 })?.of_at_least(2)?.len();
        if let Some(other) = series.iter().find(|other| other.len() != first) {
            return Err(SampleError::Lengths { left: first, right: other.len() });
        }
        Ok(Self { series })
    }

    /// Pearson's correlation over all values.
    ///
    /// # Errors
    /// All values of a series are equal.
    pub fn pearson(&self) -> Result<SymmetricMatrix, SampleError> {
        Ok(products(&self.standardised()?))
    }

    /// Spearman's: Pearson's of the ranks, equal values sharing the mean of theirs.
    ///
    /// # Errors
    /// All values of a series are equal.
    pub fn spearman(&self) -> Result<SymmetricMatrix, SampleError> {
        let ranks: Vec<Vec<f64>> = self.series.iter().map(|series| ranks(*series)).collect();
        let ranked: Result<Vec<_>, _> = ranks.iter().map(|values| Sample::new(values)).collect();
        Panel { series: ranked? }.pearson()
    }

    /// Exponentially weighted around a mean of zero: C ← λ·C + (1 − λ)·r·r′, from C = r₀·r₀′. The correlation
    /// that C is at the end, and each series' volatility.
    ///
    /// # Errors
    /// λ is not between 0 and 1, or a volatility is zero or beyond what a double holds.
    pub fn ewma(&self, lambda: f64) -> Result<(SymmetricMatrix, Vec<f64>), SampleError> {
        let weighted: Result<Vec<_>, _> = self.series.iter().map(|series| weighted(series, lambda)).collect();
        let (weighted, volatilities): (Vec<_>, _) = weighted?.into_iter().unzip();
        Ok((products(&weighted), volatilities))
    }

    /// Pearson's correlation, shrunk towards no correlation as far as the sample is too short to know better.
    ///
    /// Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices" (2004), of
    /// standardised series.
    ///
    /// # Errors
    /// All values of a series are equal.
    pub fn shrunk(&self) -> Result<Shrunk, SampleError> {
        let standardised = self.standardised()?;
        let sample = products(&standardised);
        let (n, size) = (self.series[0].len(), sample.size());
        let squares: f64 = sample.rows().flatten().map(|value| value * value).sum();
        // How far the sample is from its target, and how far it may be from the truth by chance; both × size.
        let distance = squares - size as f64;
        let noise: f64 = (0..n)
            .map(|day| standardised.iter().map(|series| series[day] * series[day]).sum::<f64>())
            .map(|length| length * length)
            .sum();
        let chance = (noise / n as f64 - squares) / n as f64;
        let intensity = if distance > 0.0 { (chance / distance).clamp(0.0, 1.0) } else { 1.0 };
        let matrix = SymmetricMatrix::from_upper(size, |row, column| {
            if row == column { 1.0 } else { (1.0 - intensity) * sample.at(row, column) }
        });
        Ok(Shrunk { intensity, matrix })
    }

    fn standardised(&self) -> Result<Vec<Vec<f64>>, SampleError> {
        self.series.iter().map(standardised).collect()
    }
}

/// A series less its mean, divided by the population's deviation.
///
/// # Errors
/// All values are equal.
pub fn standardised(series: &Sample<'_>) -> Result<Vec<f64>, SampleError> {
    let (values, _) = series.scaled();
    let n = values.len() as f64;
    let rough = sum_of(&values, &values, |value, _| value) / n;
    let mean = rough + sum_of(&values, &values, |value, _| value - rough) / n;
    let deviation = libm::sqrt(sum_of(&values, &values, |a, b| (a - mean) * (b - mean)) / n);
    if series.is_constant() || deviation == 0.0 {
        return Err(SampleError::Constant { figure: "a correlation with a series" });
    }
    Ok(values.iter().map(|value| (value - mean) / deviation).collect())
}

/// A series around zero, each value by the root of its weight in RiskMetrics' recursion C ← λ·C + (1 − λ)·r·r′ from
/// C = r₀·r₀′, and divided by the deviation that this leaves: the correlation of two of them is the exponentially weighted
/// one. And that deviation, in the series' unit.
///
/// # Errors
/// λ is not between 0 and 1, or the deviation is zero or beyond what a double holds.
pub fn weighted(series: &Sample<'_>, lambda: f64) -> Result<(Vec<f64>, f64), SampleError> {
    weight_of_the_past(lambda)?;
    let (values, exponent) = series.scaled();
    let mut weight = 1.0 - lambda;
    let mut weighted = values.to_vec();
    for value in weighted.iter_mut().skip(1).rev() {
        *value *= libm::sqrt(weight);
        weight *= lambda;
    }
    // The first value has all that is left, which is λ's power alone.
    weighted[0] *= libm::sqrt(weight / (1.0 - lambda));
    let deviation = libm::sqrt(sum_of(&weighted, &weighted, |a, b| a * b));
    if deviation == 0.0 {
        return Err(SampleError::Constant { figure: "a correlation with a series" });
    }
    let scale = libm::sqrt(values.len() as f64) / deviation;
    weighted.iter_mut().for_each(|value| *value *= scale);
    Ok((weighted, finite(shift(deviation, exponent), "the volatility")?))
}

/// Pearson's correlation of two series that are [`standardised`], equally long; the exponentially weighted one of two that
/// are [`weighted`].
pub fn correlation(left: &[f64], right: &[f64]) -> f64 {
    (sum_of(left, right, |l, r| l * r) / left.len() as f64).clamp(-1.0, 1.0)
}

/// A correlation matrix that was shrunk.
#[derive(Clone, Debug, PartialEq)]
pub struct Shrunk {
    /// How far: 0 is the sample's own matrix, 1 no correlation at all.
    pub intensity: f64,
    /// What remains.
    pub matrix: SymmetricMatrix,
}

impl Shrunk {
    /// The effective number of independent bets: e to the entropy of the eigenvalues' shares; from 1 (all move as
    /// one) to the number of series. Meucci, "Managing diversification" (2009), for equal risk in each; Roy and
    /// Vetterli, "The effective rank" (2007).
    pub fn effective_bets(&self) -> f64 {
        let size = self.matrix.size() as f64;
        let shares = self.matrix.eigenvalues().into_iter().map(|value| value / size);
        let entropy: f64 = shares.filter(|share| *share > 0.0).map(|share| -share * libm::log(share)).sum();
        libm::exp(entropy)
    }
}

/// The means of the products of each two series.
fn products(standardised: &[Vec<f64>]) -> SymmetricMatrix {
    SymmetricMatrix::from_upper(standardised.len(), |row, column| {
        if row == column { 1.0 } else { correlation(&standardised[row], &standardised[column]) }
    })
}

/// The sum of a term of each two values, in eight sums side by side that are added at the end: always in this order, and
/// no addition waits for the one before it.
fn sum_of(left: &[f64], right: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut sums = [0.0; 8];
    let (lefts, rights) = (left.as_chunks::<8>(), right.as_chunks::<8>());
    for (l, r) in lefts.0.iter().zip(rights.0) {
        for place in 0..8 {
            sums[place] += term(l[place], r[place]);
        }
    }
    for ((sum, l), r) in sums.iter_mut().zip(lefts.1).zip(rights.1) {
        *sum += term(*l, *r);
    }
    ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]))
}

/// The rank of each value, counted from 1; equal ones share the mean of theirs.
fn ranks(series: Sample<'_>) -> Vec<f64> {
    let sorted = series.sorted();
    let rank = |value: &f64| {
        let below = sorted.partition_point(|other| other < value);
        let upto = sorted.partition_point(|other| other <= value);
        (below + 1 + upto) as f64 / 2.0
    };
    series.values().iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel<'a>(series: &[&'a [f64]]) -> Panel<'a> {
        Panel::new(series.iter().map(|values| Sample::new(values).unwrap()).collect()).unwrap()
    }

    #[test]
    fn a_line_and_its_mirror() {
        let values: [&[f64]; 3] = [&[1.0, 2.0, 3.0, 5.0], &[2.0, 4.0, 6.0, 10.0], &[-1.0, -2.0, -3.0, -5.0]];
        let matrix = panel(&values).pearson().unwrap();
        for (row, column, expected) in [(0, 1, 1.0), (0, 2, -1.0), (1, 2, -1.0)] {
            assert!((matrix.at(row, column) - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn ranks_of_equal_values_are_shared() {
        assert_eq!(ranks(Sample::new(&[7.0, 1.0, 7.0, -2.0]).unwrap()), [3.5, 2.0, 3.5, 1.0]);
        // −0 and 0 are equal, although sorting tells them apart.
        assert_eq!(ranks(Sample::new(&[0.0, -0.0]).unwrap()), [1.5, 1.5]);
    }

    #[test]
    fn what_does_not_move_correlates_with_nothing() {
        let panel = panel(&[&[1.0, 2.0], &[3.0, 3.0]]);
        assert!(matches!(panel.pearson(), Err(SampleError::Constant { .. })));
        assert!(matches!(panel.shrunk(), Err(SampleError::Constant { .. })));
        let zeros = self::panel(&[&[1.0, 2.0], &[0.0, 0.0]]);
        assert!(matches!(zeros.ewma(0.94), Err(SampleError::Constant { .. })));
        let uneven = vec![Sample::new(&[1.0, 2.0]).unwrap(), Sample::new(&[1.0, 2.0, 3.0]).unwrap()];
        assert_eq!(Panel::new(uneven), Err(SampleError::Lengths { left: 2, right: 3 }));
        assert!(Panel::new(Vec::new()).is_err());
    }

    #[test]
    fn what_is_unrelated_is_as_many_bets_as_series() {
        // Columns of a Hadamard matrix, again and again: uncorrelated exactly.
        let column = |mask: usize| {
            (0..64_usize).map(move |i| if (i & mask).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 })
        };
        let series: Vec<Vec<f64>> = [1, 2, 4, 8].into_iter().map(|mask| column(mask).collect()).collect();
        let views: Vec<&[f64]> = series.iter().map(Vec::as_slice).collect();
        let shrunk = panel(&views).shrunk().unwrap();
        assert!((shrunk.effective_bets() - 4.0).abs() < 1e-12, "{shrunk:?}");
        let twice = panel(&[views[0], views[0]]).shrunk().unwrap();
        assert!((twice.effective_bets() - 1.0).abs() < 1e-12, "{twice:?}");
    }

    /// As the recursion has it, step by step.
    #[test]
    fn weights_are_those_of_the_recursion() {
        let values: [&[f64]; 2] = [&[0.02, -0.01, 0.03, 0.0], &[0.01, 0.02, 0.01, -0.04]];
        let (matrix, volatilities) = panel(&values).ewma(0.9).unwrap();
        let recursion = |left: &[f64], right: &[f64]| {
            let mut products = left.iter().zip(right).map(|(l, r)| l * r);
            let first = products.next().unwrap();
            products.fold(first, |sum, product| 0.9 * sum + 0.1 * product)
        };
        let variances = values.map(|series| recursion(series, series));
        for (volatility, variance) in volatilities.iter().zip(variances) {
            assert!((volatility / variance.sqrt() - 1.0).abs() < 1e-14, "{volatility}");
        }
        let expected = recursion(values[0], values[1]) / (variances[0] * variances[1]).sqrt();
        assert!((matrix.at(0, 1) - expected).abs() < 1e-14, "{}, not {expected}", matrix.at(0, 1));
        assert!(weighted(&Sample::new(&[1.0]).unwrap(), 1.0).is_err());
        // A weight may vanish, a figure may not be none.
        let long: Vec<f64> = (0..5_000).map(|n| f64::from(n % 7) - 3.0).collect();
        assert!(weighted(&Sample::new(&long).unwrap(), 0.5).unwrap().1.is_finite());
    }

    #[test]
    fn size_does_not_matter() {
        let values = [0.01, -0.02, 0.03, 0.005];
        let huge = values.map(|value| value * 1e300);
        let tiny = [0.5e-310, 2e-310, -1e-310, 3e-310];
        let panel = panel(&[&values, &huge, &tiny]);
        assert!((panel.pearson().unwrap().at(0, 1) - 1.0).abs() < 1e-12);
        let (matrix, volatilities) = panel.ewma(0.94).unwrap();
        assert!((matrix.at(0, 1) - 1.0).abs() < 1e-12);
        assert!((volatilities[1] / volatilities[0] / 1e300 - 1.0).abs() < 1e-12);
    }
}
