//! Fresh topics on a used cluster: all topics and groups of earlier scenarios are deleted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use tapewatch_eventlog::Log;

use super::PATIENCE;

const ANSWER: Duration = Duration::from_secs(10);

fn config(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address.strip_prefix("kafka:").expect("an address of brokers"));
    config
}

fn admin(address: &str) -> AdminClient<DefaultClientContext> {
    config(address).create().expect("an admin client")
}

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(future)
}

/// Deletes every topic of the catalogue's kind, and every group.
pub(crate) fn sweep(address: &str, log: &Arc<dyn Log>) {
    let admin = admin(address);
    let topics = log.topics().expect("its topics");
    let own: Vec<&str> =
        topics.iter().map(|topic| topic.name.as_str()).filter(|name| !name.starts_with("__")).collect();
    delete_topics(address, &own);
    let until = Instant::now() + PATIENCE;
    loop {
        let groups = groups(address);
        if groups.is_empty() {
            return;
        }
        let names: Vec<&str> = groups.iter().map(String::as_str).collect();
        // A member that was killed keeps its group until its session is over.
        let outcome =
            wait_for(admin.delete_groups(&names, &AdminOptions::new().request_timeout(Some(ANSWER))));
        assert!(Instant::now() < until, "groups of an earlier scenario live on: {outcome:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Deletes topics, and waits until they are gone.
pub(crate) fn delete_topics(address: &str, topics: &[&str]) {
    if topics.is_empty() {
        return;
    }
    let admin = admin(address);
    let options = AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER));
    for outcome in wait_for(admin.delete_topics(topics, &options)).expect("an answer") {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err(error) => panic!("a topic cannot be deleted: {error:?}"),
        }
    }
    let consumer: BaseConsumer = config(address).create().expect("a client");
    super::until("the topics to go", || {
        let metadata = consumer.fetch_metadata(None, ANSWER).expect("metadata");
        !metadata.topics().iter().any(|topic| topics.contains(&topic.name()))
    });
}

fn groups(address: &str) -> Vec<String> {
    let consumer: BaseConsumer = config(address).create().expect("a client");
    let list = consumer.fetch_group_list(None, ANSWER).expect("its groups");
    list.groups().iter().map(|group| group.name().to_owned()).collect()
}
