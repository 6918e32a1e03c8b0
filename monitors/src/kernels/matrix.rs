//! Symmetric matrices: correlations and covariances.

/// A symmetric matrix, both triangles kept, so that a row can be read as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct SymmetricMatrix {
    size: usize,
    values: Vec<f64>,
}

impl SymmetricMatrix {
    /// From its entries on and above the diagonal.
    pub(crate) fn from_upper(size: usize, mut entry: impl FnMut(usize, usize) -> f64) -> Self {
        let mut values = vec![0.0; size * size];
        for row in 0..size {
            for column in row..size {
                let value = entry(row, column);
                values[row * size + column] = value;
                values[column * size + row] = value;
            }
        }
        Self { size, values }
    }

    /// Rows, and columns.
    pub fn size(&self) -> usize {
        self.size
    }

    /// An entry, both places counted from 0.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.size + column]
    }

    /// The rows from the first on.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks(self.size.max(1))
    }

    /// The entries above the diagonal with their places, row by row.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize, f64)> + '_ {
        (0..self.size)
            .flat_map(move |row| (row + 1..self.size).map(move |column| (row, column, self.at(row, column))))
    }

    /// The mean of the entries beside the diagonal; none if there are none.
    pub fn mean_off_diagonal(&self) -> Option<f64> {
        let count = self.size * self.size.saturating_sub(1) / 2;
        (count > 0).then(|| self.pairs().map(|(.., value)| value).sum::<f64>() / count as f64)
    }

    /// The pair furthest from 0, the first of equal ones; none if there are none.
    pub fn largest_pair(&self) -> Option<(usize, usize, f64)> {
        self.pairs().fold(None, |best, pair| match best {
            Some((.., value)) if libm::fabs(pair.2) <= libm::fabs(value) => best,
            _ => Some(pair),
        })
    }

    /// The eigenvalues, ascending.
    ///
    /// Jacobi's method by rows: rotations of plus, minus, times, divide and root, in a fixed order. It converges
    /// quadratically; the bound on its sweeps is never reached by finite entries. Cost: size³ a sweep.
    pub fn eigenvalues(&self) -> Vec<f64> {
        let mut work = self.clone();
        for _ in 0..SWEEPS {
            if work.pairs().all(|(row, column, value)| work.is_negligible(row, column, value)) {
                break;
            }
            for row in 0..self.size {
                for column in row + 1..self.size {
                    work.rotate(row, column);
                }
            }
        }
        let mut diagonal: Vec<f64> = (0..self.size).map(|place| work.at(place, place)).collect();
        diagonal.sort_unstable_by(f64::total_cmp);
        diagonal
    }

    /// True of an entry that no rotation would change the diagonal for.
    fn is_negligible(&self, row: usize, column: usize, value: f64) -> bool {
        let diagonal = libm::fabs(self.at(row, row)) + libm::fabs(self.at(column, column));
        libm::fabs(value) <= diagonal * f64::EPSILON * f64::EPSILON || value == 0.0
    }

    /// Makes one entry zero.
    fn rotate(&mut self, p: usize, q: usize) {
        let entry = self.at(p, q);
        if self.is_negligible(p, q, entry) {
            self.put(p, q, 0.0);
            return;
        }
        let theta = (self.at(q, q) - self.at(p, p)) / (2.0 * entry);
        let tangent = 1.0_f64.copysign(theta) / (libm::fabs(theta) + libm::sqrt(theta * theta + 1.0));
        let cosine = 1.0 / libm::sqrt(tangent * tangent + 1.0);
        let sine = tangent * cosine;
        self.put(p, p, self.at(p, p) - tangent * entry);
        self.put(q, q, self.at(q, q) + tangent * entry);
        self.put(p, q, 0.0);
        for other in (0..self.size).filter(|other| *other != p && *other != q) {
            let (left, right) = (self.at(other, p), self.at(other, q));
            self.put(other, p, cosine * left - sine * right);
            self.put(other, q, sine * left + cosine * right);
        }
    }

    fn put(&mut self, row: usize, column: usize, value: f64) {
        self.values[row * self.size + column] = value;
        self.values[column * self.size + row] = value;
    }
}

const SWEEPS: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn from(rows: &[&[f64]]) -> SymmetricMatrix {
        SymmetricMatrix::from_upper(rows.len(), |row, column| rows[row][column])
    }

    #[test]
    fn eigenvalues_by_hand() {
        let two = from(&[&[1.0, 0.5], &[0.5, 1.0]]).eigenvalues();
        assert!((two[0] - 0.5).abs() < 1e-15 && (two[1] - 1.5).abs() < 1e-15, "{two:?}");
        // 2 − √2, 2, 2 + √2.
        let three = from(&[&[2.0, -1.0, 0.0], &[-1.0, 2.0, -1.0], &[0.0, -1.0, 2.0]]).eigenvalues();
        for (got, expected) in three.iter().zip([2.0 - 2.0_f64.sqrt(), 2.0, 2.0 + 2.0_f64.sqrt()]) {
            assert!((got - expected).abs() < 1e-14, "{three:?}");
        }
        assert_eq!(from(&[&[3.0]]).eigenvalues(), [3.0]);
        assert_eq!(from(&[]).eigenvalues(), [0.0; 0]);
    }

    /// Equal correlations of 0.3: one eigenvalue of 1 + 49 × 0.3, forty-nine of 0.7.
    #[test]
    fn fifty_equal_correlations() {
        let matrix = SymmetricMatrix::from_upper(50, |row, column| if row == column { 1.0 } else { 0.3 });
        let values = matrix.eigenvalues();
        assert!((values[49] - 15.7).abs() < 1e-12, "{}", values[49]);
        assert!(values[..49].iter().all(|value| (value - 0.7).abs() < 1e-12));
        assert_eq!(matrix.largest_pair(), Some((0, 1, 0.3)));
    }

    #[test]
    fn pairs_are_looked_at_once() {
        let matrix = from(&[&[1.0, 0.2, -0.9], &[0.2, 1.0, 0.1], &[-0.9, 0.1, 1.0]]);
        assert!((matrix.mean_off_diagonal().unwrap() + 0.2).abs() < 1e-15);
        assert_eq!(matrix.largest_pair(), Some((0, 2, -0.9)));
        assert_eq!(from(&[&[1.0]]).mean_off_diagonal(), None);
    }
}
