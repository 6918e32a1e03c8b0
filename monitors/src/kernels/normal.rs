//! The standard normal distribution.

const SQRT_2: f64 = std::f64::consts::SQRT_2;
/// 1 / √(2π).
const PEAK: f64 = 0.398_942_280_401_432_7;

/// Its density at `x`.
pub fn normal_density(x: f64) -> f64 {
    PEAK * libm::exp(-0.5 * x * x)
}

/// The probability of a value at or below `x`.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// The value that is not exceeded with probability `p`; −∞ at 0, ∞ at 1, NaN outside of these.
///
/// Wichura, "Algorithm AS 241: The percentage points of the normal distribution" (1988), `PPND16`: relative
/// accuracy about 1e-16.
pub fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if libm::fabs(q) <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * polynomial(&CENTRE, r) / polynomial(&CENTRE_BELOW, r);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    if tail.is_nan() || tail < 0.0 {
        return f64::NAN;
    }
    if tail == 0.0 {
        return f64::INFINITY.copysign(q);
    }
    let r = libm::sqrt(-libm::log(tail));
    let size = if r <= 5.0 {
        polynomial(&MIDDLE, r - 1.6) / polynomial(&MIDDLE_BELOW, r - 1.6)
    } else {
        polynomial(&FAR, r - 5.0) / polynomial(&FAR_BELOW, r - 5.0)
    };
    size.copysign(q)
}

/// Coefficients from the constant up.
fn polynomial(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

const CENTRE: [f64; 8] = [
    3.387_132_872_796_366_5,
    133.141_667_891_784_38,
    1_971.590_950_306_551_3,
    13_731.693_765_509_46,
    45_921.953_931_549_87,
    67_265.770_927_008_7,
    33_430.575_583_588_13,
    2_509.080_928_730_122_7,
];
const CENTRE_BELOW: [f64; 8] = [
    1.0,
    42.313_330_701_600_91,
    687.187_007_492_057_9,
    5_394.196_021_424_751,
    21_213.794_301_586_597,
    39_307.895_800_092_71,
    28_729.085_735_721_943,
    5_226.495_278_852_854,
];
const MIDDLE: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    0.241_780_725_177_450_6,
    0.022_723_844_989_269_184,
    0.000_774_545_014_278_341_4,
];
const MIDDLE_BELOW: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    0.689_767_334_985_1,
    0.148_103_976_427_480_08,
    0.015_198_666_563_616_457,
    0.000_547_593_808_499_534_5,
    1.050_750_071_644_416_9e-9,
];
const FAR: [f64; 8] = [
    6.657_904_643_501_103,
    5.463_784_911_164_114,
    1.784_826_539_917_291_3,
    0.296_560_571_828_504_87,
    0.026_532_189_526_576_124,
    0.001_242_660_947_388_078_4,
    2.711_555_568_743_487_6e-5,
    2.010_334_399_292_288_1e-7,
];
const FAR_BELOW: [f64; 8] = [
    1.0,
    0.599_832_206_555_888,
    0.136_929_880_922_735_8,
    0.014_875_361_290_850_615,
    0.000_786_869_131_145_613_3,
    1.846_318_317_510_054_8e-5,
    1.421_511_758_316_446e-7,
    2.044_263_103_389_939_7e-15,
];

#[cfg(test)]
mod tests {
    use statrs::distribution::{Continuous as _, ContinuousCDF as _, Normal};

    use super::*;

    #[test]
    fn the_quantile_undoes_the_distribution_function() {
        for p in [1e-300, 1e-100, 1e-20, 1e-9, 0.001, 0.01, 0.025, 0.05, 0.075, 0.2, 0.5, 0.7, 0.93, 0.99] {
            let off = normal_cdf(normal_quantile(p)) / p - 1.0;
            // The function falls by p × |x| per step in x, and x has 53 bits.
            let steepness = normal_quantile(p).abs().max(1.0);
            assert!(off.abs() < 1e-15 * steepness * steepness + 1e-15, "{p}: {off}");
        }
        assert_eq!((normal_quantile(0.0), normal_quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!(normal_quantile(0.5), 0.0);
        for p in [-0.1, 1.1, f64::NAN] {
            assert!(normal_quantile(p).is_nan(), "{p}");
        }
    }

    #[test]
    fn far_tails_keep_their_digits() {
        assert!((normal_cdf(-8.0) / 6.220_960_574_271_784e-16 - 1.0).abs() < 1e-13);
        assert!((normal_quantile(1e-15) + 7.941_345_326_170_997).abs() < 1e-14);
    }

    #[test]
    fn another_implementation_agrees() {
        let other = Normal::standard();
        for step in -80..=80 {
            let x = f64::from(step) / 10.0;
            for (ours, theirs) in [(normal_cdf(x), other.cdf(x)), (normal_density(x), other.pdf(x))] {
                // Theirs loses digits far out: 5e-11 of Φ(−8), which is 6.220960574271784e-16.
                assert!((ours / theirs - 1.0).abs() < 1e-10, "{x}: {ours}, {theirs}");
            }
        }
        for step in 1..1000 {
            let p = f64::from(step) / 1000.0;
            let (ours, theirs) = (normal_quantile(p), other.inverse_cdf(p));
            assert!((ours - theirs).abs() < 1e-9, "{p}: {ours}, {theirs}");
        }
    }
}
