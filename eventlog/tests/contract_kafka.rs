//! The contract over Kafka: `TAPEWATCH_TEST_KAFKA=kafka:127.0.0.1:9092`, as `scripts/kafka up` prints it.

mod contract;

use std::sync::Arc;
use std::time::Duration;

use contract::Backend;
use tapewatch_eventlog::{Log, OpenOptions, open};

const ADDRESS: &str = "TAPEWATCH_TEST_KAFKA";

/// Real brokers, that all tests share.
struct Cluster {
    address: String,
}

impl Cluster {
    fn given() -> Option<Self> {
        let address = std::env::var(ADDRESS).ok();
        if address.is_none() {
            eprintln!("skipped: no {ADDRESS}. scripts/kafka up starts one");
        }
        address.map(|address| Self { address })
    }
}

impl Backend for Cluster {
    fn open(&self) -> Arc<dyn Log> {
        open(&self.address, &OpenOptions::default()).expect("the cluster answers")
    }

    fn replication(&self) -> i32 {
        // As many copies as brokers, up to three.
        self.address.split(',').count().min(3) as i32
    }

    fn session(&self) -> Duration {
        Duration::from_secs(6)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn compacts_at_once(&self) -> bool {
        false
    }
}

contract::suite!(Cluster::given());
