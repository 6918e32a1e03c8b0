//! `tapewatch config` and how settings reach commands.

mod run;

use run::Folder;

#[test]
fn every_fault_is_listed_with_its_place() {
    let folder = Folder::new();
    folder.write("tapewatch.toml", "[runtime]\nlingr = \"5ms\"\n[topics]\npartitions = 0\n");
    let done = folder.run(&["config", "check"]);
    assert_eq!(done.code, 3);
    assert!(done.err.contains("runtime.lingr (tapewatch.toml:2): there is no such setting"), "{}", done.err);
    assert!(done.err.contains("topics.partitions (tapewatch.toml:4): 0 does not fit"), "{}", done.err);
    assert_eq!(folder.run(&["topics", "create"]).code, 3, "no command runs on wrong settings");
}

#[test]
fn the_environments_of_the_file_are_checked_too() {
    let folder = Folder::new();
    folder.write("tapewatch.toml", "[environments.good]\n[environments.bad.topics]\npartitions = \"x\"\n");
    let done = folder.run(&["config", "check"]);
    assert_eq!(done.code, 3);
    assert!(done.err.contains("topics.partitions (tapewatch.toml:3)"), "{}", done.err);
    assert_eq!(folder.run(&["config", "check", "--env", "good"]).code, 0);
    let unknown = folder.run(&["config", "check", "--env", "goo"]);
    assert!(unknown.err.contains("there is no environment `goo`; expected `good`"), "{}", unknown.err);
}

#[test]
fn a_missing_file_is_a_configuration_error() {
    let done = Folder::new().run(&["config", "check", "--config", "absent.toml"]);
    assert_eq!(done.code, 3);
    assert!(done.err.contains("absent.toml cannot be read: "), "{}", done.err);
}

#[test]
fn the_default_file_can_be_used_as_it_is() {
    let folder = Folder::new();
    let version = folder.run(&["config", "version"]).out;
    assert_eq!(version.trim().len(), 64);
    folder.write("tapewatch.toml", &folder.run(&["config", "show", "--default"]).out);
    assert_eq!(folder.run(&["config", "version"]).out, version);
    assert!(folder.run(&["config", "version", "--canonical"]).out.starts_with("{\"alerting\":"));
}

#[test]
fn what_is_in_force_is_shown_with_its_origin() {
    let folder = Folder::new();
    folder.write("tapewatch.toml", "[topics]\npartitions = 5\n");
    let done = folder.with("TAPEWATCH_RUNTIME__LINGER", "7ms").run(&["config", "show"]);
    assert!(done.out.contains("partitions = 5  # tapewatch.toml:2"), "{}", done.out);
    assert!(done.out.contains("linger = \"7ms\"  # TAPEWATCH_RUNTIME__LINGER"), "{}", done.out);
}

#[test]
fn the_log_may_be_named_by_flag_variable_or_file() {
    let folder = Folder::new();
    folder.write("tapewatch.toml", "[log]\nurl = \"sqlite:file.db\"\n");
    assert!(folder.run(&["topics", "create"]).out.starts_with("sqlite:file.db:"));
    let folder = folder.with("TAPEWATCH_LOG", "sqlite:variable.db");
    assert!(folder.run(&["topics", "create"]).out.starts_with("sqlite:variable.db:"));
    assert!(folder.run(&["topics", "create", "--log", "sqlite:flag.db"]).out.starts_with("sqlite:flag.db:"));
    assert!(folder.path("file.db").exists() && folder.path("variable.db").exists());
}
