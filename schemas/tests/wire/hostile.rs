//! Bytes that nobody meant to write: an error or a valid event, never a panic.

use proptest::prelude::*;
use tapewatch_schemas::codec::{FRAME, RegistryId, SchemaId};
use tapewatch_schemas::{Codec, DecodeError, Event, EventKind, Reason};

use crate::sample::{encoded, fill, framed, kinds, records, schema_of, written};

/// Decodes, and checks that what comes of it can be written.
fn survive(codec: &Codec, kind: EventKind, value: &[u8]) -> Result<Event, DecodeError> {
    let decoded = codec.decode(kind.topic(), value);
    match &decoded {
        Ok(event) => drop(encoded(codec, event)),
        Err(error) => assert!(!error.to_string().is_empty() && !error.reason().as_str().is_empty()),
    }
    decoded
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_cut_is_an_error((kind, value) in records()) {
        let codec = Codec::new(&[]).unwrap();
        let schema = schema_of(kind);
        let value = framed(&schema, &written(&schema, value));
        for cut in 0..value.len() {
            let error = survive(&codec, kind, &value[..cut]).expect_err("a cut record is no record");
            if cut > FRAME {
                prop_assert!(matches!(error, DecodeError::Truncated { position, .. } if position <= cut)
                    || matches!(error, DecodeError::BadValue { .. }), "{error}");
            }
        }
        let mut longer = value.clone();
        longer.push(0);
        let trailing = DecodeError::TrailingBytes { position: value.len(), count: 1 };
        prop_assert_eq!(survive(&codec, kind, &longer), Err(trailing));
    }

    #[test]
    fn flipped_bits_are_survived((kind, value) in records(), flips in prop::collection::vec(any::<(u16, u8)>(), 1..20)) {
        let codec = Codec::new(&[]).unwrap();
        let schema = schema_of(kind);
        let clean = framed(&schema, &written(&schema, value));
        let mut all = clean.clone();
        for (place, bit) in flips {
            let at = place as usize % clean.len();
            let mut one = clean.clone();
            one[at] ^= 1 << (bit % 8);
            all[at] ^= 1 << (bit % 8);
            drop(survive(&codec, kind, &one));
        }
        drop(survive(&codec, kind, &all));
    }

    #[test]
    fn random_bodies_are_survived(kind in kinds(), body in prop::collection::vec(any::<u8>(), 0..300)) {
        let codec = Codec::new(&[]).unwrap();
        drop(survive(&codec, kind, &framed(&schema_of(kind), &body)));
        drop(survive(&codec, kind, &body));
    }

    #[test]
    fn flipped_json_is_survived((kind, value) in records(), place in any::<u16>(), byte in any::<u8>()) {
        let codec = Codec::new(&[]).unwrap();
        let schema = schema_of(kind);
        let event = codec.decode(kind.topic(), &framed(&schema, &written(&schema, value))).unwrap();
        let mut json = serde_json::to_vec(&codec.to_json(&event)).unwrap();
        let at = place as usize % json.len();
        json[at] = byte;
        drop(survive(&codec, kind, &json));
        json.truncate(at);
        prop_assert!(survive(&codec, kind, &json).is_err());
    }
}

#[test]
fn every_reason_has_its_error() {
    let codec = Codec::new(&[]).unwrap();
    let good = encoded(&codec, &Event::ExecReport(fill()));
    let reason = |value: &[u8]| codec.decode("exec.reports.v1", value).unwrap_err().reason();
    assert_eq!(reason(b""), Reason::NotFramed);
    assert_eq!(reason(b"<xml/>"), Reason::NotFramed);
    assert_eq!(reason(&[0x00]), Reason::NotFramed);
    assert_eq!(reason(&good[..5]), Reason::Truncated);
    assert_eq!(reason(&[&good[..], b"x"].concat()), Reason::TrailingBytes);
    assert_eq!(reason(b"{}"), Reason::BadJson);
    assert_eq!(codec.decode("accounts.v1", &good).unwrap_err().reason(), Reason::WrongTopic);
    assert_eq!(codec.decode("nothing.v1", &good).unwrap_err().reason(), Reason::WrongTopic);
    let mut stranger = good.clone();
    stranger[4] ^= 1;
    assert_eq!(reason(&stranger), Reason::UnknownSchema);
    let confluent = codec.decode("exec.reports.v1", &[0, 0, 0, 1, 2, 3]).unwrap_err();
    assert_eq!(confluent, DecodeError::UnknownSchema { id: SchemaId::Registry(RegistryId::Number(258)) });
}

#[test]
fn an_error_names_the_field_and_the_byte() {
    let codec = Codec::new(&[]).unwrap();
    let mut value = encoded(&codec, &Event::ExecReport(fill()));
    // `source` is first: a length byte, then five letters.
    value[FRAME + 2] = 0xFF;
    let error = codec.decode("exec.reports.v1", &value).unwrap_err();
    let DecodeError::BadValue { position, path, .. } = &error else { panic!("{error}") };
    assert_eq!((*position, path.as_str()), (FRAME + 2, "source"));
    assert_eq!(error.to_string(), "`source` at byte 12: text that is not UTF-8");
}

#[test]
fn an_announced_length_allocates_nothing() {
    let codec = Codec::new(&[]).unwrap();
    let schema = schema_of(EventKind::Heartbeat);
    // A length, and a count of items, of 2⁶² − 1.
    let huge = [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F];
    let error = codec.decode("heartbeats.v1", &framed(&schema, &huge)).unwrap_err();
    assert_eq!(error.reason(), Reason::Truncated, "{error}");
    let body = [&[2, b's', 2, 0][..], &huge].concat();
    let error = codec.decode("heartbeats.v1", &framed(&schema, &body)).unwrap_err();
    assert_eq!(error.reason(), Reason::BadValue, "{error}");
    assert!(error.to_string().contains("`progress`"), "{error}");
}

#[test]
fn amounts_over_28_digits_are_refused() {
    let codec = Codec::new(&[]).unwrap();
    let schema = schema_of(EventKind::Account);
    let body = |unscaled: &[u8]| {
        let mut body = vec![2, b's', 2, 0, 2, b'p', 2, b'$'];
        body.push(unscaled.len() as u8 * 2);
        body.extend(unscaled);
        body.extend([2, 0, 2, 0, 2, 0]);
        framed(&schema, &body)
    };
    let top = 10_i128.pow(28);
    assert!(codec.decode("accounts.v1", &body(&(top - 1).to_be_bytes())).is_ok());
    for bad in [&top.to_be_bytes()[..], &(-top).to_be_bytes(), &[0x7F; 17], &[]] {
        let error = codec.decode("accounts.v1", &body(bad)).unwrap_err();
        assert_eq!(error.reason(), Reason::BadValue, "{error}");
        assert!(error.to_string().contains("`cash`"), "{error}");
    }
}
