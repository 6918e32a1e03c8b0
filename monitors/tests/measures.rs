//! What must hold of the measures for every sample.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use statrs::statistics::Statistics as _;
use tapewatch_monitors::kernels::{
    Ewma, EwmaSeed, Exceptions, Exposure, Filtered, Forecast, Horizon, Model, Moments, Panel, QuantileType,
    Quote, Sample, SampleError, ShortfallConvention, Tail, TailRisk, Touch, Traded, acerbi_szekely,
    christoffersen, cornish_fisher, days_to_liquidate, drawdown_profile, ewma_volatilities, forecasts,
    gaussian_tail, historical_tail, hits, traffic_light, trailing_drawdown, wealth,
};

const QUANTILES: [QuantileType; 4] = [
    QuantileType::InverseDistribution,
    QuantileType::Weibull,
    QuantileType::Linear,
    QuantileType::MedianUnbiased,
];
const SHORTFALLS: [ShortfallConvention; 3] = [
    ShortfallConvention::MeanBelowQuantile,
    ShortfallConvention::AcerbiTasche,
    ShortfallConvention::Empyrical,
];

/// Returns of a usual size, with runs of equal ones.
fn returns(least: usize) -> impl Strategy<Value = Vec<f64>> {
    let one = prop_oneof![4 => -0.2_f64..0.2, 1 => Just(0.0), 1 => Just(-0.01)];
    prop::collection::vec(one, least..120)
}

/// Any double at all, those that break things most often.
fn hostile() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => any::<f64>(),
        2 => prop::sample::select(vec![
            f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, -5e-324,
            0.0, -0.0, 1e-200, 1e200, -1.0,
        ]),
        1 => -1.0_f64..1.0,
    ]
}

fn tail() -> impl Strategy<Value = Tail> {
    prop_oneof![Just(0.05), Just(0.01), Just(0.025), 0.001_f64..0.5]
        .prop_map(|alpha| Tail::new(alpha).unwrap())
}

fn sample(values: &[f64]) -> Sample<'_> {
    Sample::new(values).unwrap()
}

fn close(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * a.abs().max(b.abs()) + 1e-300
}

/// Every tail figure that there is of a sample; what is refused is left out.
fn tails(values: &[f64], tail: Tail) -> Vec<TailRisk> {
    let Ok(sample) = Sample::new(values) else { return Vec::new() };
    let moments = Moments::of(sample);
    let mut all = Vec::new();
    all.extend(SHORTFALLS.map(|how| historical_tail(sample, tail, QuantileType::Linear, how)));
    all.extend([0, 1].map(|ddof| {
        moments.deviation(ddof).and_then(|deviation| gaussian_tail(moments.mean(), deviation, tail))
    }));
    all.push(cornish_fisher(&moments, Horizon::ONE, tail).map(|it| TailRisk { var: it.var, es: it.es }));
    all.push(Filtered::new(sample, 0.94).and_then(|it| it.tail(Horizon::ONE, tail)));
    all.into_iter().flatten().collect()
}

/// In an order of its own, which a number chooses.
fn shuffled(values: &[f64], mut chosen: u64) -> Vec<f64> {
    let mut mixed = values.to_vec();
    for at in (1..mixed.len()).rev() {
        chosen = chosen.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        mixed.swap(at, (chosen >> 33) as usize % (at + 1));
    }
    mixed
}

proptest! {
    #[test]
    fn a_shortfall_is_never_milder_than_its_value_at_risk(values in returns(1), tail in tail()) {
        for risk in tails(&values, tail) {
            // A mean of equal values may differ from them by its rounding.
            prop_assert!(risk.es <= risk.var + 1e-15 * risk.var.abs().max(0.2), "{risk:?}");
        }
    }

    #[test]
    fn a_further_tail_is_no_milder(values in returns(1), tail in tail()) {
        let further = Tail::new(tail.alpha() / 2.0).unwrap();
        for kind in QUANTILES {
            let of = |tail| historical_tail(sample(&values), tail, kind, ShortfallConvention::AcerbiTasche).unwrap();
            prop_assert!(of(further).var <= of(tail).var);
            prop_assert!(of(further).es <= of(tail).es + 1e-15);
        }
    }

    #[test]
    fn twice_the_position_is_twice_the_risk(values in returns(3), tail in tail(), power in -40_i32..40) {
        let scale = 2.0_f64.powi(power);
        let scaled: Vec<f64> = values.iter().map(|value| value * scale).collect();
        let (plain, scaled) = (tails(&values, tail), tails(&scaled, tail));
        prop_assert_eq!(plain.len(), scaled.len());
        for (plain, scaled) in plain.iter().zip(scaled) {
            // A power of two is exact.
            prop_assert_eq!((plain.var * scale, plain.es * scale), (scaled.var, scaled.es));
        }
    }

    #[test]
    fn cash_added_to_every_return_is_taken_off_the_risk(values in returns(2), tail in tail(), cash in -0.5_f64..0.5) {
        let richer: Vec<f64> = values.iter().map(|value| value + cash).collect();
        for how in SHORTFALLS {
            let of = |values: &[f64]| historical_tail(sample(values), tail, QuantileType::Linear, how).unwrap();
            let (plain, richer) = (of(&values), of(&richer));
            prop_assert!((plain.var + cash - richer.var).abs() < 1e-14);
            // The mean below a quantile may take one more of almost equal values in.
            prop_assert!((plain.es + cash - richer.es).abs() < 1e-12 || how == ShortfallConvention::MeanBelowQuantile);
        }
    }

    #[test]
    fn the_other_side_of_a_position_has_the_other_tail(values in returns(2), tail in tail()) {
        let mirrored: Vec<f64> = values.iter().map(|value| -value).collect();
        let of = |values: &[f64], tail| {
            historical_tail(sample(values), tail, QuantileType::Linear, ShortfallConvention::AcerbiTasche).unwrap().var
        };
        let upper = Tail::new(1.0 - tail.alpha()).unwrap();
        prop_assert!((of(&mirrored, tail) + of(&values, upper)).abs() < 1e-13);
        let (plain, mirrored) = (Moments::of(sample(&values)), Moments::of(sample(&mirrored)));
        prop_assert_eq!(plain.mean(), -mirrored.mean());
        prop_assert_eq!(plain.deviation(0), mirrored.deviation(0));
        if let (Ok(plain), Ok(mirrored)) = (plain.skewness(), mirrored.skewness()) {
            prop_assert_eq!(plain, -mirrored);
        }
    }

    #[test]
    fn the_order_of_a_sample_is_of_no_matter(values in returns(2), tail in tail(), chosen in any::<u64>()) {
        let mixed = shuffled(&values, chosen);
        for kind in QUANTILES {
            for how in SHORTFALLS {
                let of = |values: &[f64]| historical_tail(sample(values), tail, kind, how);
                prop_assert_eq!(of(&values), of(&mixed));
            }
        }
        let (plain, mixed) = (Moments::of(sample(&values)), Moments::of(sample(&mixed)));
        prop_assert!((plain.mean() - mixed.mean()).abs() < 1e-16);
        prop_assert!(close(plain.deviation(1).unwrap(), mixed.deviation(1).unwrap(), 1e-13));
        if let (Ok(plain), Ok(mixed)) = (cornish_fisher(&plain, Horizon::ONE, tail), cornish_fisher(&mixed, Horizon::ONE, tail)) {
            // Sums of cubes and fourth powers, the quantile a polynomial of them.
            prop_assert!((plain.var - mixed.var).abs() < 1e-9 * plain.z.abs().max(1.0), "{plain:?} {mixed:?}");
        }
    }

    #[test]
    fn moments_are_another_implementations(values in returns(2)) {
        let ours = Moments::of(sample(&values));
        prop_assert!((ours.mean() - values.iter().mean()).abs() < 1e-15);
        prop_assert!(close(ours.deviation(1).unwrap(), values.iter().std_dev(), 1e-11));
        prop_assert!(close(ours.deviation(0).unwrap(), values.iter().population_std_dev(), 1e-11));
    }

    /// One return at a time, from a saved state now and then, against the sum of weights written out.
    #[test]
    fn a_volatility_kept_is_one_from_scratch(values in returns(1), lambda in 0.5_f64..0.999, cut in 0_usize..120) {
        let mut kept = Ewma::new(lambda, values[0] * values[0]).unwrap();
        for (place, r) in values.iter().enumerate() {
            kept.push(*r).unwrap();
            if place == cut {
                kept = postcard::from_bytes(&postcard::to_allocvec(&kept).unwrap()).unwrap();
            }
        }
        let n = values.len() as i32;
        let weighted = |(place, r): (usize, &f64)| (1.0 - lambda) * lambda.powi(n - 1 - place as i32) * r * r;
        let scratch: f64 = lambda.powi(n) * values[0] * values[0] + values.iter().enumerate().map(weighted).sum::<f64>();
        prop_assert!(close(kept.variance(), scratch, 1e-9), "{} {scratch}", kept.variance());
        let path = ewma_volatilities(sample(&values), lambda, EwmaSeed::FirstSquare).unwrap();
        prop_assert!(close(path[values.len()], kept.volatility(), 1e-12));
    }

    #[test]
    fn forecasts_are_those_of_each_window(values in returns(12), window in 2_usize..11, tail in tail()) {
        for model in [Model::Historical, Model::ZeroMeanNormal { ddof: 1 }] {
            let all = forecasts(sample(&values), window, model, tail).unwrap();
            prop_assert_eq!(all.len(), values.len() - window);
            for (step, got) in all.iter().enumerate() {
                let past = sample(&values[step..step + window]);
                let alone = match model {
                    Model::Historical => {
                        historical_tail(past, tail, QuantileType::Linear, ShortfallConvention::MeanBelowQuantile)
                    }
                    Model::ZeroMeanNormal { ddof } => {
                        gaussian_tail(0.0, Moments::of(past).deviation(ddof).unwrap(), tail)
                    }
                };
                prop_assert_eq!(*got, alone.unwrap());
            }
        }
    }

    #[test]
    fn tests_of_exceptions_are_probabilities(hits in prop::collection::vec(any::<bool>(), 1..300), tail in tail()) {
        let all = christoffersen(&hits, tail).unwrap();
        for test in [all.coverage, all.independence, all.conditional] {
            prop_assert!(test.statistic >= 0.0 && (0.0..=1.0).contains(&test.p_value), "{test:?}");
        }
        prop_assert_eq!(all.exceptions.kupiec(tail), all.coverage);
        let light = traffic_light(all.exceptions, tail);
        prop_assert!((0.0..=1.0 + 1e-12).contains(&light.at_most) && (-1e-12..=1.0).contains(&light.at_least));
        if all.exceptions.exceptions() < hits.len() as u64 {
            let more = Exceptions::new(hits.len() as u64, all.exceptions.exceptions() + 1).unwrap();
            prop_assert!(traffic_light(more, tail).zone >= light.zone, "one more exception is no better colour");
        }
    }

    #[test]
    fn correlations_are_within_bounds(
        series in prop::collection::vec(prop::collection::vec(-0.2_f64..0.2, 12), 2..6),
        swap in any::<bool>(),
    ) {
        let of = |series: &[Vec<f64>]| {
            Panel::new(series.iter().map(|values| sample(values)).collect()).unwrap()
                .pearson().map(|matrix| matrix.pairs().map(|(.., value)| value).collect::<Vec<_>>())
        };
        let panel = Panel::new(series.iter().map(|values| sample(values)).collect()).unwrap();
        let shrunk = panel.shrunk().unwrap();
        let count = series.len() as f64;
        prop_assert!((0.0..=1.0).contains(&shrunk.intensity));
        let bets = shrunk.effective_bets();
        prop_assert!(bets > 1.0 - 1e-9 && bets < count + 1e-9, "{bets}");
        for matrix in [panel.pearson().unwrap(), panel.spearman().unwrap(), panel.ewma(0.94).unwrap().0] {
            prop_assert!(matrix.pairs().all(|(.., value)| (-1.0..=1.0).contains(&value)));
            let eigenvalues = matrix.eigenvalues();
            prop_assert!((eigenvalues.iter().sum::<f64>() - count).abs() < 1e-12);
            prop_assert!(eigenvalues[0] > -1e-12, "positive semidefinite: {eigenvalues:?}");
        }
        // The other side of one holding turns its correlations round; another scale changes nothing.
        let mut turned = series.clone();
        turned[0].iter_mut().for_each(|value| *value *= if swap { -3.0 } else { 3.0 });
        let (plain, turned) = (of(&series).unwrap(), of(&turned).unwrap());
        for (place, (plain, turned)) in plain.iter().zip(&turned).enumerate() {
            let sign = if swap && place < series.len() - 1 { -1.0 } else { 1.0 };
            prop_assert!((plain - sign * turned).abs() < 1e-12);
        }
    }

    /// Ledoit and Wolf's intensity, by its definition: the mean squared distance of each day's products from
    /// the sample's matrix, over that of the matrix from its target.
    #[test]
    fn the_shrinkage_is_its_definition(series in prop::collection::vec(prop::collection::vec(-0.2_f64..0.2, 10), 2..5)) {
        let panel = Panel::new(series.iter().map(|values| sample(values)).collect()).unwrap();
        let matrix = panel.pearson().unwrap();
        let z: Vec<Vec<f64>> = series.iter().map(|values| {
            let moments = Moments::of(sample(values));
            values.iter().map(|v| (v - moments.mean()) / moments.deviation(0).unwrap()).collect()
        }).collect();
        let (n, places) = (10, 0..series.len());
        let (mut distance, mut noise) = (0.0, 0.0);
        for row in places.clone() {
            for column in places.clone() {
                let entry = matrix.at(row, column);
                distance += (entry - f64::from(u8::from(row == column))).powi(2);
                noise += (0..n).map(|day| (z[row][day] * z[column][day] - entry).powi(2)).sum::<f64>();
            }
        }
        let expected = (noise / (n * n) as f64 / distance).min(1.0);
        let got = panel.shrunk().unwrap().intensity;
        prop_assert!(close(got, expected, 1e-9), "{got} {expected}");
    }

    #[test]
    fn both_sides_of_a_book_mirror_its_exposure(values in prop::collection::vec(-1e6_f64..1e6, 1..40)) {
        let mirrored: Vec<f64> = values.iter().map(|value| -value).collect();
        let (book, other) = (Exposure::of(sample(&values)).unwrap(), Exposure::of(sample(&mirrored)).unwrap());
        prop_assert_eq!((book.long, book.short, book.net), (-other.short, -other.long, -other.net));
        prop_assert_eq!(book.concentration, other.concentration);
        let share = book.concentration.herfindahl;
        prop_assert!(book.gross == 0.0 || (1.0 / values.len() as f64 - 1e-12..=1.0 + 1e-12).contains(&share));
    }

    #[test]
    fn drawdowns_are_within_bounds(values in returns(1), window in 1_usize..200) {
        let path = wealth(sample(&values)).unwrap();
        let profile = drawdown_profile(sample(&path)).unwrap();
        let trailing = trailing_drawdown(sample(&path), window).unwrap();
        prop_assert!(profile.current <= profile.largest && profile.largest <= 1.0 && trailing <= profile.largest);
        prop_assert!(profile.ulcer <= profile.largest + 1e-15 && profile.under_water <= profile.longest_under_water);
        prop_assert!(profile.longest_under_water < path.len());
        // From scratch: the lowest share of any value before.
        let from_scratch = (0..path.len())
            .flat_map(|late| (0..=late).map(move |early| (early, late)))
            .map(|(early, late)| 1.0 - path[late] / path[early])
            .fold(0.0, f64::max);
        prop_assert!((profile.largest - from_scratch).abs() < 1e-12);
    }

    /// NaN, infinities, subnormal, huge and constant values: every figure is a number, or refused.
    #[test]
    fn no_figure_is_no_number(values in prop::collection::vec(hostile(), 0..30), other in hostile(), tail in tail()) {
        let mut given: Vec<f64> = Vec::new();
        let mut take = |figure: Result<f64, SampleError>| given.extend(figure);
        let Ok(it) = Sample::new(&values) else {
            prop_assert!(values.is_empty() || values.iter().any(|value| !value.is_finite()));
            return Ok(());
        };
        let moments = Moments::of(it);
        take(Ok(moments.mean()));
        for figure in [moments.deviation(0), moments.deviation(1), moments.skewness(), moments.excess_kurtosis()] {
            take(figure);
        }
        for risk in tails(&values, tail) {
            take(Ok(risk.var));
            take(Ok(risk.es));
        }
        if let Ok(it) = cornish_fisher(&moments, Horizon::ONE, tail) {
            [it.z, it.es_raw].into_iter().for_each(|figure| take(Ok(figure)));
        }
        for seed in [EwmaSeed::FirstSquare, EwmaSeed::SampleVariance, EwmaSeed::Backcast] {
            ewma_volatilities(it, 0.94, seed).into_iter().flatten().for_each(|figure| take(Ok(figure)));
        }
        if let Ok(mut ewma) = Ewma::new(other, other) {
            values.iter().for_each(|value| drop(ewma.push(*value)));
            take(Ok(ewma.volatility()));
        }
        if let Ok(panel) = Panel::new(vec![it, Sample::new(&shuffled(&values, 7)).unwrap()]) {
            for matrix in [panel.pearson(), panel.spearman(), panel.ewma(0.94).map(|it| it.0)].into_iter().flatten() {
                matrix.rows().flatten().for_each(|figure| take(Ok(*figure)));
                matrix.eigenvalues().into_iter().for_each(|figure| take(Ok(figure)));
            }
            if let Ok(shrunk) = panel.shrunk() {
                take(Ok(shrunk.intensity));
                take(Ok(shrunk.effective_bets()));
            }
        }
        if let Ok(exposure) = Exposure::of(it) {
            let of = exposure.concentration;
            let sums = [exposure.long, exposure.short, exposure.gross, exposure.net, exposure.effective_positions()];
            sums.into_iter().chain([of.largest, of.top5, of.herfindahl]).for_each(|figure| take(Ok(figure)));
            if let Ok((gross, net)) = exposure.leverage(other) {
                [gross, net].into_iter().for_each(|figure| take(Ok(figure)));
            }
        }
        if let Ok(traded) = Traded::new(it, it) {
            for figure in [traded.amihud(), traded.average_money(3), traded.roll_spread()] {
                take(figure);
            }
        }
        take(days_to_liquidate(values[0], other, 0.1));
        if let Ok(quote) = Quote::new(values[0], other) {
            take(Ok(quote.relative_spread()));
            take(quote.cost(values[0]));
            take(quote.cost_of(other));
            if let Ok(touch) = Touch::new(quote, other, values[0]) {
                take(Ok(touch.share_at_touch(values[0])));
                take(touch.depth(values[0]));
            }
        }
        for path in [Ok(values.clone()), wealth(it)].into_iter().flatten() {
            if let Ok(profile) = drawdown_profile(sample(&path)) {
                [profile.largest, profile.current, profile.ulcer].into_iter().for_each(|figure| take(Ok(figure)));
            }
            take(trailing_drawdown(sample(&path), 5));
        }
        for model in [Model::Historical, Model::ZeroMeanNormal { ddof: 1 }] {
            let Ok(all) = forecasts(it, 3, model, tail) else { continue };
            prop_assert_eq!(hits(&values[3..], &all).unwrap().len(), all.len());
            all.iter().for_each(|forecast: &Forecast| [forecast.var, forecast.es].into_iter().for_each(|f| take(Ok(f))));
            if let Ok(tests) = acerbi_szekely(sample(&values[3..]), &all, tail) {
                take(Ok(tests.z2));
                take(Ok(tests.z1.unwrap_or_default()));
            }
        }
        prop_assert!(given.iter().all(|figure| figure.is_finite()), "{given:?} of {values:?}, {other}");
    }
}
