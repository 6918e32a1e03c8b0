//! A source's clock jumps by an hour, forth and back, under the wall's clock: what is from the future is refused,
//! what is from the past is late, and the worker goes on.
//!
//! The worker's own clock cannot be moved here without moving everybody's on this machine: the simulator
//! (`faults/src/`) moves it.

use std::time::Duration;

use tapewatch_consumers::worker::wall;
use tapewatch_eventlog::{OutRecord, Publisher};
use tapewatch_producers::{Body, Layout, Player, PlayerOptions, Slice, Tape};
use tapewatch_schemas::catalogue::{HEARTBEATS, RISK};
use tapewatch_schemas::{Codec, Event, Time};

use crate::stage::feeder::publish;
use crate::stage::{Stage, injected, until};

const HOUR: i64 = 3_600_000_000;

/// The records of a slice as a source writes them now, whose clock is off by so many microseconds.
fn now(slice: Slice, codec: &Codec, off: i64) -> Vec<OutRecord> {
    let time = Time(wall().micros() + off);
    let mut records = Vec::new();
    for mut record in slice.records {
        if record.topic == HEARTBEATS {
            continue;
        }
        if let Body::Event(event) = &mut record.body {
            match &mut **event {
                Event::MarketData(event) => event.event_time = time,
                Event::Signal(event) => event.event_time = time,
                Event::ExecReport(event) => event.event_time = time,
                Event::Position(event) => event.event_time = time,
                Event::Account(event) => event.event_time = time,
                other => panic!("{other:?}"),
            }
        }
        records.push(record.into_record(codec).unwrap());
    }
    records
}

#[test]
fn a_source_whose_clock_jumps_by_an_hour() {
    let settings = [("TAPEWATCH_RUNTIME__CLOCK", "wall"), ("TAPEWATCH_BREAKER__WAIT", "1s")];
    let Some(stage) = Stage::open_with("clock-jumps", &settings) else { return };
    let layout = Layout::of(&*stage.log, PlayerOptions::default().layout.partitioner).unwrap();
    let options = PlayerOptions { bars: Some(200), bars_per_slice: 1, layout, ..PlayerOptions::default() };
    let mut player = Player::new(options, &Tape::built_in().unwrap()).unwrap();
    let codec = Codec::new(&[]).unwrap();
    let mut publisher = stage.log.publisher().unwrap();
    let mut play = |slices: usize, off: i64| {
        for slice in player.by_ref().take(slices) {
            publish(&mut *publisher as &mut dyn Publisher, now(slice, &codec, off));
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let mut journals = stage.journals();
    let mut worker = stage.risk("one");
    for off in [0, HOUR, 0, -HOUR, 0] {
        play(40, off);
    }
    let ended = stage.ends();
    until("all to be taken", || {
        worker.lives();
        stage
            .log
            .group_offsets("tapewatch.risk", &ended.keys().cloned().collect::<Vec<_>>())
            .unwrap()
            .iter()
            .zip(ended.values())
            .all(|(offset, end)| offset.unwrap_or(0) >= *end)
    });
    journals.look();
    let of_the_future = journals
        .records
        .values()
        .flatten()
        .flat_map(|record| &record.dead_letters)
        .filter(|letters| letters.reason == "from_the_future")
        .count();
    assert!(of_the_future > 0, "an hour ahead is no reason for a dead letter");
    injected("a source's clock an hour ahead and an hour behind; the worker's own: in the simulator");
    worker.stop();
    stage.judge(&[RISK]);
}
