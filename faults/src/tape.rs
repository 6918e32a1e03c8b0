//! What traders and a market feed would write: a tape made for the occasion, record by record.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tapewatch_eventlog::{Log, LogError, OutRecord, TopicPartition};
use tapewatch_schemas::catalogue::{ACCOUNTS, EXEC_REPORTS, MARKET_DATA, POSITIONS};
use tapewatch_schemas::events::{
    Account, ExecReport, ExecType, Heartbeat, Liquidity, MarketData, OrderStatus, OrderType, Progress, Side,
};
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Amount, Codec, Event, Time, TopicName};

/// The source of all that a trading system writes.
pub const TRADER: &str = "trader";
/// The source of marks.
pub const FEED: &str = "feed";

/// Writes records, each with its sequence number, key and partition. Nothing is sent by it.
pub struct Tape {
    codec: Arc<Codec>,
    counts: BTreeMap<TopicName, u32>,
    /// The event time of the next record.
    pub now: Time,
    /// The last sequence number by topic and partition.
    written: BTreeMap<(&'static str, i32), i64>,
    beats: i64,
    executions: i64,
}

/// A fill.
#[derive(Clone, Copy, Debug)]
pub struct Fill<'a> {
    /// Whose.
    pub portfolio: &'a str,
    /// Of what.
    pub symbol: &'a str,
    /// Units; negative for a sale.
    pub quantity: i64,
    /// The price.
    pub price: i64,
}

impl Tape {
    /// A tape for the topics of a log, beginning at `now`.
    ///
    /// # Errors
    /// If the log does not answer.
    pub fn new(log: &dyn Log, codec: Arc<Codec>, now: Time) -> Result<Self, LogError> {
        let counts = log.topics()?.into_iter().map(|topic| (topic.name, topic.partitions as u32)).collect();
        Ok(Self { codec, counts, now, written: BTreeMap::new(), beats: 0, executions: 0 })
    }

    /// The partition that a key belongs to.
    ///
    /// # Panics
    /// If the log had no such topic.
    pub fn partition(&self, topic: &str, key: &str) -> i32 {
        Partitioner::Murmur2.assign(key.as_bytes(), self.partitions(topic)) as i32
    }

    fn partitions(&self, topic: &str) -> u32 {
        *self.counts.get(topic).expect("a tape is for a log that has its topics")
    }

    fn next(&mut self, topic: &'static str, key: &str) -> i64 {
        let partition = self.partition(topic, key);
        let last = self.written.entry((topic, partition)).or_insert(-1);
        *last += 1;
        *last
    }

    /// A mark.
    pub fn mark(&mut self, symbol: &str, price: i64) -> OutRecord {
        let sequence = self.next(MARKET_DATA, symbol);
        self.record(&Event::MarketData(MarketData {
            source: FEED.into(),
            sequence,
            event_time: self.now,
            symbol: symbol.into(),
            currency: "USD".into(),
            bid: None,
            ask: None,
            last: Some(Amount::from(price)),
            bid_size: None,
            ask_size: None,
            volume: None,
            venue: None,
        }))
    }

    /// An account's state.
    pub fn account(&mut self, portfolio: &str, cash: i64, equity: i64) -> OutRecord {
        let sequence = self.next(ACCOUNTS, portfolio);
        self.record(&Event::Account(Account {
            source: TRADER.into(),
            sequence,
            event_time: self.now,
            portfolio: portfolio.into(),
            currency: "USD".into(),
            cash: Amount::from(cash),
            equity: Amount::from(equity),
            deposits: Amount::from(1_000_000),
            withdrawals: Amount::ZERO,
        }))
    }

    /// A fill.
    pub fn fill(&mut self, fill: Fill<'_>) -> OutRecord {
        let sequence = self.next(EXEC_REPORTS, fill.portfolio);
        self.executions += 1;
        let quantity = Amount::from(fill.quantity.abs());
        self.record(&Event::ExecReport(ExecReport {
            source: TRADER.into(),
            sequence,
            event_time: self.now,
            portfolio: fill.portfolio.into(),
            strategy: "dip".into(),
            symbol: fill.symbol.into(),
            order_id: format!("o{}", self.executions).into(),
            execution_id: format!("e{}", self.executions).into(),
            signal_id: None,
            reference_execution_id: None,
            exec_type: ExecType::Fill,
            order_status: OrderStatus::Filled,
            side: if fill.quantity < 0 { Side::Sell } else { Side::Buy },
            order_type: OrderType::Limit,
            order_quantity: quantity,
            limit_price: None,
            last_quantity: Some(quantity),
            last_price: Some(Amount::from(fill.price)),
            cumulative_quantity: quantity,
            leaves_quantity: Amount::ZERO,
            average_price: None,
            currency: "USD".into(),
            fee: None,
            fee_currency: None,
            liquidity: Liquidity::Taker,
            venue: None,
            arrival_price: None,
            decision_time: None,
            sent_time: None,
            acknowledged_time: None,
            text: None,
        }))
    }

    /// Both sources' heartbeats: all that they have written, and that nothing before now is to come;
    /// nothing at all, if `closed`.
    pub fn beats(&mut self, closed: bool) -> Vec<OutRecord> {
        let trading: &[&'static str] = &[EXEC_REPORTS, POSITIONS, ACCOUNTS];
        let sources: [(&str, &[&'static str]); 2] = [(TRADER, trading), (FEED, &[MARKET_DATA])];
        let sequence = self.beats;
        self.beats += 1;
        let mut beats = Vec::new();
        for (source, topics) in sources {
            let mut progress = Vec::new();
            for topic in topics {
                for partition in 0..self.partitions(topic) as i32 {
                    let last_sequence = self.written.get(&(*topic, partition)).copied().unwrap_or(-1);
                    let (topic, complete_to) = ((*topic).into(), self.now);
                    progress.push(Progress { topic, partition, last_sequence, complete_to, closed });
                }
            }
            let (source, event_time) = (source.into(), self.now);
            beats.push(self.record(&Event::Heartbeat(Heartbeat { source, sequence, event_time, progress })));
        }
        beats
    }

    fn record(&self, event: &Event) -> OutRecord {
        let mut value = Vec::new();
        self.codec.encode(event, &mut value).expect("our own events fit their own schemas");
        OutRecord {
            target: TopicPartition::new(event.topic(), self.partition(event.topic(), event.key())),
            timestamp: None,
            key: Some(Bytes::copy_from_slice(event.key().as_bytes())),
            value: Some(Bytes::from(value)),
            headers: Vec::new(),
        }
    }
}

/// A record that no schema fits, in the place of one that does.
pub fn poison(target: TopicPartition) -> OutRecord {
    OutRecord {
        target,
        timestamp: None,
        key: Some(Bytes::from_static(b"p0")),
        value: Some(Bytes::from_static(b"\xc3\x01no such thing")),
        headers: Vec::new(),
    }
}
