//! How concentrated a book is.

/// Shares of single symbols in the gross exposure, as fractions; zero for an empty book.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Concentration {
    /// The sum of the absolute values.
    pub gross: f64,
    /// The largest share.
    pub largest: f64,
    /// The sum of the five largest.
    pub top5: f64,
    /// Herfindahl's index: the sum of the squared shares, 1/n for n equal ones, 1 for a single one.
    pub herfindahl: f64,
}

/// The concentration of positions with these values (any sign). The result does not depend on how equal
/// values are ordered, and no history enters it.
pub fn concentration(values: impl Iterator<Item = f64>) -> Concentration {
    let (mut gross, mut squares) = (0.0, 0.0);
    let mut top = [0.0_f64; 5];
    for value in values {
        let size = libm::fabs(value);
        gross += size;
        squares += size * size;
        insert(&mut top, size);
    }
    if gross <= 0.0 {
        return Concentration::default();
    }
    Concentration {
        gross,
        largest: top[0] / gross,
        top5: top.iter().sum::<f64>() / gross,
        herfindahl: squares / (gross * gross),
    }
}

/// Puts `size` among the largest so far, descending.
fn insert(top: &mut [f64; 5], size: f64) {
    let mut size = size;
    for slot in top {
        if size > *slot {
            std::mem::swap(slot, &mut size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_shares_and_a_single_one() {
        let equal = concentration([10.0, -10.0, 10.0, -10.0].into_iter());
        assert_eq!(equal, Concentration { gross: 40.0, largest: 0.25, top5: 1.0, herfindahl: 0.25 });
        let single = concentration(std::iter::once(-3.0));
        assert_eq!(single, Concentration { gross: 3.0, largest: 1.0, top5: 1.0, herfindahl: 1.0 });
        assert_eq!(concentration(std::iter::empty()), Concentration::default());
    }

    #[test]
    fn the_five_largest_are_found_in_any_order() {
        let values = [1.0, 9.0, 2.0, 8.0, 3.0, 7.0, 4.0, 6.0, 5.0, 5.0];
        let forward = concentration(values.into_iter());
        let backward = concentration(values.into_iter().rev());
        assert_eq!(forward, backward);
        assert_eq!(forward.top5, 35.0 / 50.0);
    }
}
