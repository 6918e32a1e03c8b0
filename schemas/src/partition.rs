//! Which partition a key belongs to.

/// How producers of the co-partitioned topics spread keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Partitioner {
    /// Java's default: the positive part of murmur2 over the key's bytes.
    #[default]
    Murmur2,
    /// librdkafka's `consistent`: CRC-32 of the key's bytes.
    Crc32,
    /// Any partition is accepted. Outputs are still written by murmur2.
    Unchecked,
}

impl Partitioner {
    /// The partition of `key` among `partitions`, or none where keys are not checked.
    pub fn expected(self, key: &[u8], partitions: u32) -> Option<u32> {
        match self {
            Self::Murmur2 => Some(murmur2_partition(key, partitions)),
            Self::Crc32 => Some(crc32(key) % partitions.max(1)),
            Self::Unchecked => None,
        }
    }

    /// The partition that our own output with this key goes to.
    pub fn assign(self, key: &[u8], partitions: u32) -> u32 {
        self.expected(key, partitions).unwrap_or_else(|| murmur2_partition(key, partitions))
    }
}

fn murmur2_partition(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

/// Austin Appleby's MurmurHash2, 32 bits, with Kafka's seed (`org.apache.kafka.common.utils.Utils`).
fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        for (i, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// CRC-32 (IEEE 802.3), as librdkafka's partitioner computes it.
fn crc32(key: &[u8]) -> u32 {
    !key.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xEDB8_8320 } else { c >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `Utils.murmur2` from Apache Kafka's own UtilsTest.
    #[test]
    fn murmur2_is_kafkas() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn crc32_is_the_ieee_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }
}
