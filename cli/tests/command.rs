//! The real binary, run as people run it.

mod run;

use run::Folder;

#[test]
fn help_teaches_with_examples_and_exit_codes() {
    let done = Folder::new().run(&["--help"]);
    assert_eq!(done.code, 0);
    for wanted in ["Examples:", "tapewatch topics create", "Exit codes:", "--log <URL>", "TAPEWATCH_LOG"] {
        assert!(done.out.contains(wanted), "{wanted} in {}", done.out);
    }
    assert!(!done.out.contains('\u{1b}'), "no colour where no terminal is");
}

#[test]
fn a_bad_flag_is_a_usage_error() {
    let done = Folder::new().run(&["topics", "list", "--colour"]);
    assert_eq!(done.code, 2);
    assert!(done.err.contains("--colour"), "{}", done.err);
}

#[test]
fn an_address_that_is_no_logs_is_a_usage_error() {
    let done = Folder::new().run(&["topics", "list", "--log", "redis:6379"]);
    assert_eq!(done.code, 2);
    assert!(done.err.contains("sqlite:PATH or kafka:HOST:PORT"), "{}", done.err);
}

#[test]
fn a_log_that_is_not_there_is_not_made_by_reading_it() {
    let folder = Folder::new();
    let done = folder.run(&["topics", "list"]);
    assert_eq!(done.code, 4);
    assert!(done.err.starts_with("error: the log sqlite:tapewatch.db does not answer"), "{}", done.err);
    assert!(done.err.contains("tapewatch topics create"), "{}", done.err);
    assert_eq!(done.err.trim_end().lines().count(), 1, "one paragraph: {}", done.err);
    assert!(!folder.path("tapewatch.db").exists());
}

#[test]
fn topics_are_made_once_and_listed() {
    let folder = Folder::new();
    let made = folder.run(&["topics", "create", "--partitions", "3"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let again = folder.run(&["topics", "create", "--partitions", "3"]);
    assert_eq!(again.code, 0);
    assert!(again.out.contains(": 0 topics made"), "{}", again.out);
    let listed = folder.run(&["topics", "list", "--json"]);
    let line = listed.out.lines().find(|line| line.contains("\"exec.reports.v1\"")).expect("it is listed");
    assert!(line.contains("\"partitions\":3"), "{line}");
    assert!(folder.run(&["topics", "list"]).out.starts_with("TOPIC"));
    // What nobody reads has no dead letters, and no command makes topics for them.
    for nobodys in ["journal.risk.v1", "control.v1", "control.v1.dlq"] {
        let done = folder.run(&["dlq", "list", nobodys]);
        assert_eq!(done.code, 5, "{nobodys}: {}", done.err);
        assert!(done.err.contains("has no dead letters: no worker reads it"), "{}", done.err);
    }
}

#[test]
fn another_partition_count_is_refused_and_named() {
    let folder = Folder::new();
    folder.run(&["topics", "create", "--partitions", "3"]);
    let done = folder.run(&["topics", "create", "--partitions", "4"]);
    assert_eq!(done.code, 8);
    assert!(done.err.contains(" more. Keys would change"), "{}", done.err);
    assert!(done.err.contains("accounts.v1 has 3, wanted are 4"), "{}", done.err);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let folder = Folder::new();
    folder.run(&["topics", "create"]);
    let done = folder.shell("\"$TAPEWATCH\" topics list | head -n 1");
    assert_eq!((done.code, done.err.as_str()), (0, ""));
}
