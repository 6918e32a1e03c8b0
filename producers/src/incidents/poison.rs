use tapewatch_schemas::{PortfolioId, Time};

use crate::random::Random;

/// Bytes that are no event.
#[derive(Clone, Debug)]
pub(crate) struct Poison {
    pub(crate) bar: usize,
    pub(crate) time: Time,
    pub(crate) topic: &'static str,
    pub(crate) portfolio: PortfolioId,
    pub(crate) bytes: Vec<u8>,
}

/// One undecodable value: by turns an unknown schema, JSON that is cut short, and noise.
pub(crate) fn bytes(turn: usize, random: &mut Random) -> Vec<u8> {
    match turn % 3 {
        0 => {
            let mut bytes = vec![0xC3, 0x01];
            bytes.extend(random.bytes(40));
            bytes
        }
        1 => format!("{{\"source\":\"sim\",\"sequence\":{},\"event_ti", random.below(1_000_000)).into_bytes(),
        _ => {
            let mut bytes = random.bytes(32);
            // No frame begins so, and no JSON.
            bytes[0] = 0xFF;
            bytes
        }
    }
}
