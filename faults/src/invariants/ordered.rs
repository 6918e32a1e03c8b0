//! Order: outputs of a key stand in the order of their steps, and steps take the records of a source
//! partition in the order in which they stand there, each once.

use std::collections::HashMap;

use super::outputs::{Made, Outputs};
use super::{Invariant, MOST, Violation};

pub(super) fn check(outputs: &Outputs) -> Vec<Violation> {
    let mut found = standing(outputs);
    found.extend(taken(outputs));
    found.truncate(MOST);
    found
}

/// In a partition, steps of one task and key rise.
fn standing(outputs: &Outputs) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut last: HashMap<(u32, i32, &[u8]), &Made> = HashMap::new();
    for made in &outputs.made {
        let before = last.insert((made.place, made.task, &made.key), made);
        if let Some(before) = before.filter(|before| (before.step, before.index) > (made.step, made.index)) {
            let text = format!(
                "key {} stands behind step {} at offset {}",
                String::from_utf8_lossy(&made.key),
                before.step,
                before.offset
            );
            found.push(tell(outputs, made, text, "steps of one key that rise"));
        }
    }
    found
}

/// Per task and key, a later step has a later record of the same source partition.
fn taken(outputs: &Outputs) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut made: Vec<(&Made, u32, i64)> = outputs
        .made
        .iter()
        .filter_map(|made| made.cause.map(|(source, offset)| (made, source, offset)))
        .collect();
    made.sort_by_key(|(made, ..)| (made.task, made.step));
    let mut last: HashMap<(i32, &[u8], u32), (u64, i64)> = HashMap::new();
    for (made, source, offset) in made {
        let before = last.insert((made.task, &made.key, source), (made.step, offset));
        let Some((step, earlier)) = before.filter(|(step, _)| *step != made.step) else { continue };
        if earlier >= offset {
            let source = &outputs.sources[source as usize];
            let text = format!(
                "it took {source} offset {offset} after step {step} took offset {earlier}, for the key {}",
                String::from_utf8_lossy(&made.key)
            );
            found.push(tell(outputs, made, text, "every record of a source in its order, once"));
        }
    }
    found
}

fn tell(outputs: &Outputs, made: &Made, found: String, expected: &str) -> Violation {
    let violation = Violation::new(Invariant::Ordered, found, expected).of(&outputs.worker, made.task);
    violation.at(outputs.place(made)).offset(made.offset).step(made.step)
}
