//! Every schema against its type, apache-avro as the judge of the bytes.

use apache_avro::Schema;
use apache_avro::rabin::Rabin;

use super::*;

#[test]
fn every_built_in_schema_is_read_and_fits_itself() {
    let codec = Codec::new(&[]).unwrap();
    for (topic, fingerprint) in codec.fingerprints() {
        let text = EventKind::of_topic(topic).unwrap().schema_text();
        let schema = Schema::parse_str(text).unwrap();
        assert_eq!(schema.fingerprint::<Rabin>().bytes, fingerprint);
    }
}

fn fill() -> Event {
    use crate::events::*;
    use crate::{Amount, Time};
    let amount = |text: &str| text.parse::<Amount>().unwrap();
    Event::ExecReport(ExecReport {
        source: "oms-1".into(),
        sequence: 123_456,
        event_time: Time(1_619_956_800_000_123),
        portfolio: "book-17".into(),
        strategy: "dip-15m".into(),
        symbol: "BTC-USD".into(),
        order_id: "o-2021-05-02-000123".into(),
        execution_id: "x-2021-05-02-000456".into(),
        signal_id: Some("s-000789".into()),
        reference_execution_id: None,
        exec_type: ExecType::Fill,
        order_status: OrderStatus::PartiallyFilled,
        side: Side::Sell,
        order_type: OrderType::Limit,
        order_quantity: amount("1.5"),
        limit_price: Some(amount("56789.5")),
        last_quantity: Some(amount("0.25")),
        last_price: Some(amount("56790.01")),
        cumulative_quantity: amount("0.75"),
        leaves_quantity: amount("0.75"),
        average_price: Some(amount("56789.123456789012")),
        currency: "USD".into(),
        fee: Some(amount("-1.419750250000")),
        fee_currency: None,
        liquidity: Liquidity::Taker,
        venue: Some("bitstamp".into()),
        arrival_price: Some(amount("56788")),
        decision_time: Some(Time(1_619_956_799_000_000)),
        sent_time: Some(Time(1_619_956_799_000_250)),
        acknowledged_time: None,
        text: None,
    })
}

#[test]
fn a_fill_comes_back() {
    let codec = Codec::new(&[]).unwrap();
    let mut value = Vec::new();
    codec.encode(&fill(), &mut value).unwrap();
    assert_eq!(codec.decode("exec.reports.v1", &value).unwrap(), fill());
    assert_eq!(codec.decode_any(&value).unwrap(), fill());
    let json = serde_json::to_vec(&codec.to_json(&fill())).unwrap();
    assert_eq!(codec.decode("exec.reports.v1", &json).unwrap(), fill());
}
