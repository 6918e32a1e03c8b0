//! docker-compose.kafka.yml is the same cluster as scripts/kafka's, with the topics of the catalogue.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tapewatch_schemas::catalogue::{DEFAULT_RETENTION, plan};

/// Partitions of the co-partitioned inputs, as shipped.
const INPUTS: u32 = 12;

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of a block: those that are indented deeper than the line that opens it.
fn block<'a>(text: &'a str, opening: &str) -> Vec<&'a str> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().skip_while(|line| line.trim() != opening);
    let first = lines.next().unwrap_or_else(|| panic!("there is no `{opening}`"));
    lines.take_while(|line| line.trim().is_empty() || indent(line) > indent(first)).map(str::trim).collect()
}

/// `KEY: "value"` lines of a block.
fn variables(lines: &[&str]) -> BTreeMap<String, String> {
    lines
        .iter()
        .filter_map(|line| line.split_once(": \""))
        .map(|(key, value)| (key.to_owned(), value.trim_end_matches('"').to_owned()))
        .collect()
}

/// `key=value` lines of the template, for three brokers.
fn properties(lines: &str) -> BTreeMap<String, String> {
    lines
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        // The official image makes the one of the other.
        .map(|(key, value)| (format!("KAFKA_{}", key.to_uppercase().replace('.', "_")), value))
        .map(|(key, value)| (key, value.replace("@REPLICATION@", "3").replace("@MIN_ISR@", "2")))
        .collect()
}

#[test]
fn the_brokers_settings_are_those_of_the_script() {
    let template = text("scripts/kafka.properties");
    let (own, shared) = template.split_once("# The cluster's").expect("the template has two parts");
    let compose = text("docker-compose.kafka.yml");
    let mut found = variables(&block(&compose, "x-settings: &settings"));
    for (key, value) in properties(shared) {
        assert_eq!(found.remove(&key).as_ref(), Some(&value), "{key}");
    }
    // What is left is each broker's own in the template, or none of Kafka's settings.
    let own: BTreeSet<_> = properties(own).into_keys().collect();
    let left: BTreeSet<_> =
        found.into_keys().filter(|key| key != "CLUSTER_ID" && key != "KAFKA_HEAP_OPTS").collect();
    assert!(left.is_subset(&own), "{left:?} are not in scripts/kafka.properties");
    for id in 1..=3 {
        let broker: BTreeSet<_> =
            variables(&block(&compose, &format!("kafka-{id}:"))).into_keys().chain(left.clone()).collect();
        assert_eq!(broker, own, "broker {id}");
    }
}

#[test]
fn the_image_is_of_the_same_release() {
    let pom = text("scripts/kafka-pom.xml");
    let compose = text("docker-compose.kafka.yml");
    let images: Vec<_> = compose.lines().filter_map(|line| line.trim().strip_prefix("image: ")).collect();
    assert!(!images.is_empty());
    for image in images {
        let version = image.strip_prefix("apache/kafka:").expect("the official image");
        assert!(pom.contains(&format!("<version>{version}</version>")), "{image}");
        assert!(text("scripts/kafka").contains(&format!("VERSION={version}")), "{image}");
    }
}

#[test]
fn the_topics_are_those_of_the_catalogue() {
    let compose = text("docker-compose.kafka.yml");
    let found: Vec<_> = block(&compose, "TOPICS: |");
    let expected: Vec<_> = plan(INPUTS, DEFAULT_RETENTION)
        .into_iter()
        .map(|topic| {
            let kept = topic.retention.map_or("-1".to_owned(), |span| span.as_millis().to_string());
            let policy = if topic.compacted { "compact" } else { "delete" };
            format!("{} {} {kept} {policy}", topic.name, topic.partitions)
        })
        .collect();
    assert_eq!(found, expected, "put these lines there:\n{}", expected.join("\n"));
}
