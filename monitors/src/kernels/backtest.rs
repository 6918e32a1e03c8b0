//! What a model would have forecast, day by day, from nothing but the days before.

use super::gaussian::gaussian_tail;
use super::historical::{ShortfallConvention, sorted_tail};
use super::moments::Moments;
use super::sample::{Sample, SampleError, Tail, TailRisk};
use super::sorted_window::SortedWindow;

/// A forecast of one return's tail; losses are negative.
pub type Forecast = TailRisk;

/// A model of the next return's tail, from a window of the returns before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// The type 7 quantile, and the mean of what is not above it.
    Historical,
    /// A normal distribution of mean zero, its deviation estimated around the window's mean with n − `ddof`.
    ZeroMeanNormal {
        /// 0 or 1.
        ddof: usize,
    },
}

/// The forecasts for each return after the first `window`, one for each.
///
/// # Errors
/// The window is empty, there is no return after it, or a forecast is beyond what a double holds.
pub fn forecasts(
    returns: Sample<'_>,
    window: usize,
    model: Model,
    tail: Tail,
) -> Result<Vec<Forecast>, SampleError> {
    if window == 0 {
        let expected = "at least 1 return";
        return Err(SampleError::Parameter { name: "window", value: 0.0, expected });
    }
    let values = returns.of_at_least(window.saturating_add(1))?.values();
    let steps = 0..values.len() - window;
    match model {
        Model::Historical => {
            let mut past = SortedWindow::from_values(window, values[..window].iter().copied());
            steps
                .map(|step| {
                    let forecast = sorted_tail(past.sorted(), tail, ShortfallConvention::MeanBelowQuantile);
                    past.push(values[window + step]);
                    forecast
                })
                .collect()
        }
        Model::ZeroMeanNormal { ddof } => steps
            .map(|step| {
                let past = Moments::of(Sample::new(&values[step..step + window])?);
                gaussian_tail(0.0, past.deviation(ddof)?, tail)
            })
            .collect(),
    }
}

/// Which returns were strictly worse than forecast, in order of time.
///
/// # Errors
/// Returns and forecasts are not equally many.
pub fn hits(returns: &[f64], forecasts: &[Forecast]) -> Result<Vec<bool>, SampleError> {
    if returns.len() != forecasts.len() {
        return Err(SampleError::Lengths { left: returns.len(), right: forecasts.len() });
    }
    Ok(returns.iter().zip(forecasts).map(|(r, forecast)| *r < forecast.var).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_knows_only_what_was_before() {
        let values = [0.01, -0.01, 0.02, -0.5, 0.03];
        let tail = Tail::new(0.05).unwrap();
        for model in [Model::Historical, Model::ZeroMeanNormal { ddof: 1 }] {
            let all = forecasts(Sample::new(&values).unwrap(), 3, model, tail).unwrap();
            let fewer = forecasts(Sample::new(&values[..4]).unwrap(), 3, model, tail).unwrap();
            assert_eq!((all.len(), &all[..1]), (2, &fewer[..]), "{model:?}");
            assert!(all[1].var < all[0].var, "the crash is in the second: {all:?}");
            assert_eq!(hits(&values[3..], &all).unwrap(), [true, false]);
        }
    }

    #[test]
    fn without_a_window_or_a_return_after_it_there_is_no_forecast() {
        let returns = Sample::new(&[0.1, 0.2, 0.3]).unwrap();
        let tail = Tail::new(0.05).unwrap();
        assert!(forecasts(returns, 0, Model::Historical, tail).is_err());
        for window in [3, usize::MAX] {
            let refused = forecasts(returns, window, Model::Historical, tail);
            assert!(matches!(refused, Err(SampleError::TooFew { have: 3, .. })), "{refused:?}");
        }
        assert!(hits(&[0.1], &[]).is_err());
    }
}
