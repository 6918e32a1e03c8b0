//! What is written is read back, by us and by apache-avro.

use proptest::prelude::*;
use tapewatch_schemas::{Codec, Event};

use crate::sample::{encoded, fill, framed, judged, read, records, schema_of, written};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_apache_avro_writes_is_read_and_written_the_same((kind, value) in records()) {
        let codec = Codec::new(&[]).unwrap();
        let schema = schema_of(kind);
        let event = codec.decode(kind.topic(), &framed(&schema, &written(&schema, value.clone()))).unwrap();
        prop_assert_eq!(event.kind(), kind);
        prop_assert_eq!(event.topic(), kind.topic());
        prop_assert_eq!(judged(&codec, &event), value);
        let again = encoded(&codec, &event);
        prop_assert_eq!(codec.decode(kind.topic(), &again).unwrap(), event.clone());
        prop_assert_eq!(codec.decode_any(&again).unwrap(), event);
    }

    #[test]
    fn json_comes_back((kind, value) in records()) {
        let codec = Codec::new(&[]).unwrap();
        let schema = schema_of(kind);
        let event = codec.decode(kind.topic(), &framed(&schema, &written(&schema, value))).unwrap();
        let json = serde_json::to_vec(&codec.to_json(&event)).unwrap();
        prop_assert_eq!(codec.decode(kind.topic(), &json).unwrap(), event);
    }
}

#[test]
fn equal_events_have_equal_bytes() {
    let codec = Codec::new(&[]).unwrap();
    let event = Event::ExecReport(fill());
    assert_eq!(encoded(&codec, &event), encoded(&Codec::new(&[]).unwrap(), &event.clone()));
}

#[test]
fn a_double_that_is_no_number_keeps_its_bits() {
    let codec = Codec::new(&[]).unwrap();
    let schema = schema_of(tapewatch_schemas::EventKind::Signal);
    let text = br#"{"source":"s","sequence":1,"event_time":0,"portfolio":"p","strategy":"s","signal_id":"1",
        "symbol":"x","side":"buy","target_quantity":1,"reference_price":1,"features":{"a":1.0}}"#;
    let Event::Signal(mut signal) = codec.decode("signals.v1", text).unwrap() else { unreachable!() };
    for bits in [f64::NAN.to_bits(), f64::NAN.to_bits() | 1, (-f64::NAN).to_bits()] {
        signal.features.insert("a".into(), f64::from_bits(bits));
        let value = encoded(&codec, &Event::Signal(signal.clone()));
        let Event::Signal(read_back) = codec.decode("signals.v1", &value).unwrap() else { unreachable!() };
        assert_eq!(read_back.features["a"].to_bits(), bits);
        let (_, body) = tapewatch_schemas::codec::split_frame(&value).unwrap();
        read(&schema, body);
    }
}
