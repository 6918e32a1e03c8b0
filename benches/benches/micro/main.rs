//! Micro-benchmarks: what one record, one fill, one mark, one round costs. `cargo bench -p tapewatch-benches`
//! runs them all, `cargo bench -p tapewatch-benches -- codec` those whose name has `codec` in it.
//!
//! Figures of different machines, or of one machine on different days, say little side by side. What is
//! compared (the codec's peers, incremental and from scratch) is therefore measured in the same run.

mod codec;
mod risk;
mod runtime;
mod window;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    // Short enough that all of them take less than three minutes.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50)
        .configure_from_args();
    codec::run(&mut criterion);
    risk::run(&mut criterion);
    window::run(&mut criterion);
    runtime::run(&mut criterion);
    criterion.final_summary();
}
