//! What is held now, revalued over the returns of the past: historical simulation.

use super::sample::{SampleError, finite};

/// Stands in a series of returns where there is none. Any NaN does.
pub const NO_RETURN: f64 = f64::NAN;

/// What is held of one symbol, and the symbol's simple returns, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Exposed<'a> {
    /// Its value now, in money; negative if it is short.
    pub value: f64,
    /// Fractions, [`NO_RETURN`] where there is none.
    pub returns: &'a [f64],
}

impl<'a> Exposed<'a> {
    /// So many of the latest returns.
    pub(super) fn latest(&self, count: usize) -> &'a [f64] {
        &self.returns[self.returns.len() - count..]
    }
}

/// The profit and loss that what is held would have made at each instant, in money, oldest first:
/// P\[t\] = Σ value × r\[t\]. The series end at the same instant; instants at which any has no return are left out.
/// Nothing held leaves nothing.
///
/// It is summed anew each time, in the order of what is held, so nothing drifts. Costs one multiplication and one
/// addition a return.
///
/// # Errors
/// A value is no number, or a profit is beyond what a double holds.
pub fn revalue(held: &[Exposed<'_>], pnl: &mut Vec<f64>) -> Result<(), SampleError> {
    pnl.clear();
    if let Some(place) = held.iter().position(|one| !one.value.is_finite()) {
        return Err(SampleError::NotFinite { place: place + 1, value: held[place].value });
    }
    let shared = held.iter().map(|one| one.returns.len()).min().unwrap_or(0);
    pnl.resize(shared, 0.0);
    // Four series a pass, so that the sums are read and written a quarter as often; the order of additions is the same.
    let (fours, rest) = held.as_chunks::<4>();
    for [a, b, c, d] in fours {
        let series =
            a.latest(shared).iter().zip(b.latest(shared)).zip(c.latest(shared)).zip(d.latest(shared));
        for (sum, (((ra, rb), rc), rd)) in pnl.iter_mut().zip(series) {
            *sum = *sum + a.value * ra + b.value * rb + c.value * rc + d.value * rd;
        }
    }
    for one in rest {
        for (sum, r) in pnl.iter_mut().zip(one.latest(shared)) {
            *sum += one.value * r;
        }
    }
    leave_out_gaps(held, pnl)
}

fn leave_out_gaps(held: &[Exposed<'_>], pnl: &mut Vec<f64>) -> Result<(), SampleError> {
    let shared = pnl.len();
    let mut kept = 0;
    for at in 0..shared {
        if !pnl[at].is_finite() {
            if held.iter().any(|one| one.latest(shared)[at].is_nan()) {
                continue;
            }
            finite(pnl[at], "a profit")?;
        }
        pnl[kept] = pnl[at];
        kept += 1;
    }
    pnl.truncate(kept);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pnl(held: &[(f64, &[f64])]) -> Result<Vec<f64>, SampleError> {
        let held: Vec<_> = held.iter().map(|(value, returns)| Exposed { value: *value, returns }).collect();
        let mut pnl = vec![f64::NAN; 3];
        revalue(&held, &mut pnl).map(|()| pnl)
    }

    #[test]
    fn series_end_together_and_gaps_are_left_out() {
        let long = [0.5, 0.01, NO_RETURN, 0.03];
        let short = [0.02, 0.01, -0.01];
        assert_eq!(
            pnl(&[(100.0, &long), (-50.0, &short)]).unwrap(),
            [100.0 * 0.01 - 1.0, 100.0 * 0.03 + 0.5]
        );
        assert!(pnl(&[(100.0, &long), (1.0, &[])]).unwrap().is_empty());
        assert!(pnl(&[]).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert!(matches!(pnl(&[(1.0, &[]), (f64::NAN, &[])]), Err(SampleError::NotFinite { place: 2, .. })));
        assert!(matches!(pnl(&[(f64::MAX, &[2.0])]), Err(SampleError::Overflow { .. })));
        let (up, down) = ((f64::MAX, &[2.0][..]), (-f64::MAX, &[2.0][..]));
        assert!(matches!(pnl(&[up, down]), Err(SampleError::Overflow { .. })), "∞ − ∞ is not a gap");
    }

    /// Values of what is held, and as many series, each of a length of its own.
    fn books() -> impl Strategy<Value = Vec<(f64, Vec<f64>)>> {
        let value = (-1e6..1e6_f64).boxed();
        let r = prop_oneof![9 => -0.2..0.2_f64, 1 => Just(NO_RETURN)];
        prop::collection::vec((value, prop::collection::vec(r, 5..60)), 1..12)
    }

    fn slices(book: &[(f64, Vec<f64>)]) -> Vec<(f64, &[f64])> {
        book.iter().map(|(value, returns)| (*value, &returns[..])).collect()
    }

    proptest! {
        #[test]
        fn it_is_the_sum_from_scratch(book in books()) {
            let got = pnl(&slices(&book)).unwrap();
            let shared = book.iter().map(|(_, r)| r.len()).min().unwrap();
            let mut expected = Vec::new();
            for back in (1..=shared).rev() {
                let day: Vec<_> = book.iter().map(|(value, r)| (value, r[r.len() - back])).collect();
                if day.iter().all(|(_, r)| !r.is_nan()) {
                    expected.push(day.iter().fold(0.0, |sum, (value, r)| sum + *value * r));
                }
            }
            prop_assert_eq!(got, expected, "to the last bit: four at a time adds in the same order");
        }

        #[test]
        fn the_other_side_of_the_book_has_the_mirrored_profit(book in books()) {
            let got = pnl(&slices(&book)).unwrap();
            let other: Vec<_> = book.into_iter().map(|(value, r)| (-value, r)).collect();
            let mirrored: Vec<f64> = pnl(&slices(&other)).unwrap().into_iter().map(|p| 0.0 - p).collect();
            prop_assert_eq!(got, mirrored);
        }

        #[test]
        fn the_order_of_what_is_held_is_rounding_alone(book in books(), by in 0_usize..12) {
            let got = pnl(&slices(&book)).unwrap();
            let mut other = book.clone();
            other.rotate_left(by % book.len());
            let gross: f64 = book.iter().map(|(value, _)| value.abs()).sum();
            let turned = pnl(&slices(&other)).unwrap();
            prop_assert_eq!(got.len(), turned.len());
            for (one, two) in got.iter().zip(turned) {
                prop_assert!((one - two).abs() <= gross * 1e-15, "{one} {two}");
            }
        }
    }
}
