//! The numeric fingerprint: says whether byte equality may be expected on this machine.

use tapewatch_schemas::Digest;

/// A digest of the kernels' elementary functions at fixed arguments, 16 hex digits. Two machines with the
/// same fingerprint round alike.
pub fn fingerprint() -> String {
    let mut bits = Vec::new();
    for step in 1..=200_u32 {
        let x = f64::from(step) / 37.0;
        for value in [libm::exp(-x), libm::log(x), libm::pow(x, 0.94), libm::erf(x), x.sqrt(), x / 3.0] {
            bits.extend_from_slice(&value.to_bits().to_le_bytes());
        }
    }
    Digest::of(&bits).to_string()[..16].to_owned()
}
