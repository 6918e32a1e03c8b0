//! Bytes as text: base64 of RFC 4648, with padding.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Four digits for three bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let all =
            group.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = (all >> (18 - 6 * place)) as usize & 63;
            text.push(if place > group.len() { '=' } else { char::from(DIGITS[digit]) });
        }
    }
    text
}

/// The bytes; none if the text is no base64 with its padding.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let groups = text.as_bytes().chunks_exact(4);
    if !groups.remainder().is_empty() {
        return None;
    }
    let last = (text.len() / 4).checked_sub(1);
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for (index, group) in groups.enumerate() {
        let padding = group.iter().rev().take_while(|digit| **digit == b'=').count();
        if padding > 2 || padding > 0 && Some(index) != last {
            return None;
        }
        let mut all = 0_u32;
        for digit in &group[..4 - padding] {
            let value = DIGITS.iter().position(|known| known == digit)?;
            all = all << 6 | value as u32;
        }
        let whole = (all << (6 * padding)).to_be_bytes();
        bytes.extend_from_slice(&whole[1..4 - padding]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_go_both_ways() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Some(all));
        for bad in ["Z", "Zg", "Zg=", "Zg==Zg==", "====", "Zg=v", "Z\u{e4}v", "Zm 9"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
