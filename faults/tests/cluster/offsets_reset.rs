//! A person resets the group's offsets with Kafka's own tool: the worker refuses and names the command, whose
//! jump is journalled.

use tapewatch_schemas::catalogue::{EXEC_REPORTS, RISK};

use crate::stage::brokers::told;
use crate::stage::{PATIENCE, Stage, injected, until};

#[test]
fn a_reset_of_the_groups_offsets_is_refused_and_seek_is_journalled() {
    let Some(stage) = Stage::with_brokers("offsets-reset") else { return };
    let (feeder, _) = stage.load(400);
    let mut journals = stage.journals();
    let mut worker = stage.risk("one");
    journals.all_go_on(&mut worker);
    let at = stage.taken(&mut worker);
    let task = at.partition;
    worker.stop();

    // Kafka's tool wants a group without members: the last one's session must be over.
    let input = format!("{EXEC_REPORTS}:{task}");
    let reset = ["tool", "consumer-groups", "--group", "tapewatch.risk", "--topic", &input];
    let reset = [&reset[..], &["--reset-offsets", "--to-earliest", "--execute"]].concat();
    until("the group to be without members", || !told(&reset).contains("Error"));
    let mut refused = stage.risk("one");
    let code = refused.end(PATIENCE).code();
    let said = refused.said();
    let error = said.lines().rfind(|line| line.starts_with("error: ")).expect("it says why");
    assert_eq!(code, Some(1), "{error}");
    let command = format!("tapewatch seek --worker risk {EXEC_REPORTS}/{task}");
    assert!(error.contains(&command) && error.contains("stands at offset 0"), "{error}");
    let position: i64 =
        error.rsplit_once("seek to ").expect("the way back").1.trim().parse().expect("an offset");

    // The named command, over ten reports that someone wants skipped; it undoes the reset of what lies before.
    let input = at.to_string();
    let to = (position + 10).to_string();
    let arguments = ["seek", "--worker", RISK, &input, &to, "--who", "ada", "--why", "a drill"];
    until("seek to be allowed: the session of the refused worker is over", || {
        let done = stage.tapewatch(&arguments);
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success() || done.status.code() == Some(4), "{text}");
        done.status.success()
    });
    // A broker answers a commit before its markers stand in every partition, so readers see it some time after.
    let mut seeks = 0;
    until("the jump in the journal", || {
        journals.look();
        let injected = journals.records[&task].iter().flat_map(|record| &record.injected);
        seeks = injected.filter(|event| event.kind == "seek").count();
        seeks > 0
    });
    assert_eq!(seeks, 1, "the jump is journalled once");
    injected("offsets reset to the earliest by kafka-consumer-groups");
    let mut worker = stage.risk("one");
    feeder.finish();
    journals.see_the_end(&mut worker);
    worker.stop();
    stage.judge(&[RISK]);
}
