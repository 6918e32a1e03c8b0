//! What is wrong in a record, read as far as it goes.

use proptest::prelude::*;
use serde_json::{Value, json};
use tapewatch_schemas::codec::{FRAME, Partial, RegistryId};
use tapewatch_schemas::{Codec, Event};

use crate::sample::{encoded, fill, framed, records, schema_of, written};

const TOPIC: &str = "exec.reports.v1";

fn partly(codec: &Codec, topic: &str, value: &[u8], header: Option<&[u8]>) -> Option<Partial> {
    let error = codec.decode_with(topic, value, header).expect_err("it is no event");
    codec.decode_partly(topic, value, header, &error)
}

/// True if all that is in `part` is in `whole`, as far as `part` goes.
fn begins(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|of| begins(value, of)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() <= whole.len() && part.iter().zip(whole).all(|(part, whole)| begins(part, whole))
        }
        (part, whole) => part == whole,
    }
}

fn fields(partial: &Partial) -> usize {
    partial.fields.as_object().expect("a record").len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// However short a record is cut, what is left of it is what the whole has there, and no byte is left out between
    /// what was read and the rest.
    #[test]
    fn a_cut_record_is_read_up_to_the_cut((kind, value) in records()) {
        let codec = Codec::new(&[]).unwrap();
        let schema = schema_of(kind);
        let value = framed(&schema, &written(&schema, value));
        let Ok(event) = codec.decode(kind.topic(), &value) else { return Ok(()) };
        let whole = codec.to_json(&event);
        let (mut before, mut read) = (0, 0);
        for cut in FRAME..value.len() {
            let partial = partly(&codec, kind.topic(), &value[..cut], None).unwrap();
            prop_assert!(begins(&partial.fields, &whole), "{cut}: {} of {whole}", partial.fields);
            prop_assert!((before..=cut).contains(&partial.position), "{cut}: {}", partial.position);
            prop_assert!(fields(&partial) >= read, "{cut}: {}", partial.fields);
            (before, read) = (partial.position, fields(&partial));
        }
        let all = whole.as_object().unwrap().len();
        prop_assert!(read + 1 >= all, "all but the last field: {read} of {all}");
        let mut longer = value.clone();
        longer.push(7);
        let partial = partly(&codec, kind.topic(), &longer, None).unwrap();
        prop_assert_eq!(partial, Partial { fields: whole, position: value.len() });
    }

    #[test]
    fn nothing_makes_it_panic((kind, value) in records(), flips in prop::collection::vec(any::<(u16, u8)>(), 1..20)) {
        let codec = Codec::new(&[]).unwrap();
        let schema = schema_of(kind);
        let mut value = framed(&schema, &written(&schema, value));
        for (place, bit) in flips {
            let at = place as usize % value.len();
            value[at] ^= 1 << (bit % 8);
        }
        if let Err(error) = codec.decode(kind.topic(), &value)
            && let Some(partial) = codec.decode_partly(kind.topic(), &value, None, &error)
        {
            prop_assert!(partial.position <= value.len(), "{partial:?}");
        }
    }
}

/// An amount that its bytes can hold and its type cannot.
#[test]
fn what_a_field_may_not_hold_ends_it_there() {
    let codec = Codec::new(&[]).unwrap();
    let value = encoded(&codec, &Event::ExecReport(fill()));
    let quantity = codec.to_json(&codec.decode(TOPIC, &value).unwrap())["order_quantity"].clone();
    assert_eq!(quantity, json!("1.5"));
    let error = codec.decode(TOPIC, &value[..value.len() - 1]).unwrap_err();
    let limits = codec.decode_partly(TOPIC, &value[..value.len() - 1], None, &error).unwrap();
    assert_eq!(limits.fields["limit_price"], "56789.5");
    // Its amount takes six bytes; seventeen are more than an amount has.
    let at = value.windows(7).position(|window| window == [12, 0x01, 0x5d, 0x3e, 0xf7, 0x98, 0x00]).unwrap();
    let mut wide = value[..at].to_vec();
    wide.push(34);
    wide.extend([0x7f; 17]);
    wide.extend(&value[at + 7..]);
    let error = codec.decode(TOPIC, &wide).unwrap_err();
    assert_eq!(error.position(), Some(at), "{error}");
    let partial = codec.decode_partly(TOPIC, &wide, None, &error).unwrap();
    assert_eq!(partial.position, at);
    assert_eq!(
        (partial.fields.get("order_type"), partial.fields.get("order_quantity")),
        (Some(&json!("limit")), None)
    );
}

#[test]
fn a_registrys_schema_reads_as_far_as_ours() {
    let mut codec = Codec::new(&[]).unwrap();
    let value = encoded(&codec, &Event::ExecReport(fill()));
    let body = &value[FRAME..value.len() - 3];
    let expected = partly(&codec, TOPIC, &value[..value.len() - 3], None).unwrap().fields;
    assert!(expected.as_object().unwrap().len() > 20, "{expected}");
    let (guid, text) = ([7; 16], codec.schemas().find(|(topic, ..)| *topic == TOPIC).unwrap().2);
    codec.learn_id(RegistryId::Guid(guid), Some(text));
    codec.frame(TOPIC, 9);

    let header = [&[1][..], &guid].concat();
    let named = partly(&codec, TOPIC, body, Some(&header)).unwrap();
    let framed = partly(&codec, TOPIC, &[&[0, 0, 0, 0, 9][..], body].concat(), None).unwrap();
    assert_eq!((&named.fields, &framed.fields), (&expected, &expected));
    assert_eq!(named.position + 5, framed.position);
    assert_eq!(partly(&codec, TOPIC, &[&[0, 0, 0, 0, 8][..], body].concat(), None), None, "no such schema");
    assert_eq!(partly(&codec, TOPIC, b"{}", None), None, "JSON is a text of its own");
}

#[test]
fn without_a_registry_a_schema_in_a_header_is_not_known() {
    let codec = Codec::new(&[]).unwrap();
    let value = encoded(&codec, &Event::ExecReport(fill()));
    let header = [&[1][..], &[7; 16]].concat();
    let bare = |header| codec.decode_unasked(TOPIC, &value[FRAME..], || header);
    let error = bare(Some(&header)).unwrap_err();
    assert_eq!(error.reason(), tapewatch_schemas::Reason::UnknownSchema);
    let text = error.to_string();
    assert!(text.contains("GUID 07070707-0707") && text.contains("no registry is configured"), "{text}");
    assert_eq!(bare(None).unwrap_err().reason(), tapewatch_schemas::Reason::NotFramed);
    assert_eq!(bare(Some(b"other")).unwrap_err().reason(), tapewatch_schemas::Reason::NotFramed);
    // What says itself what it is needs no header.
    codec.decode_unasked(TOPIC, &value, || Some(&header)).unwrap();
    let cut = codec.decode_unasked(TOPIC, &value[..40], || Some(&header)).unwrap_err();
    assert_eq!(cut.reason(), tapewatch_schemas::Reason::Truncated);
}
