//! The worked examples of docs/risk.md: every figure shown is what the command gives.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod run;

use std::path::Path;

use run::Folder;

fn document() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/risk.md")).unwrap()
}

/// The fenced blocks: what stands after the fence's name, and their lines.
fn blocks<'d>(document: &'d str, kind: &str) -> Vec<(&'d str, &'d str)> {
    let fence = format!("\n```{kind}");
    let begun = document.split(fence.as_str()).skip(1);
    begun.map(|rest| rest.split("\n```").next().unwrap().split_once('\n').unwrap()).collect()
}

/// Runs every example; how many there are, or the first line shown that is not in what was printed, in this order.
fn recompute(document: &str) -> Result<usize, String> {
    let folder = Folder::new();
    for (name, text) in blocks(document, "csv") {
        folder.write(name.trim(), text);
    }
    let examples = blocks(document, "console");
    for (_, example) in &examples {
        let (command, shown) = example.split_once('\n').unwrap();
        let arguments =
            command.strip_prefix("$ tapewatch ").expect("an example is a command and what it prints");
        let done = folder.shell(&format!("\"$TAPEWATCH\" {arguments}"));
        if done.code != 0 {
            return Err(format!("{command}: {}", done.err));
        }
        let mut printed = done.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        for line in shown.lines() {
            if !printed.any(|words| words == line.split_whitespace().collect::<Vec<_>>()) {
                return Err(format!("{command}: `{line}` is not what is printed:\n{}", done.out));
            }
        }
    }
    Ok(examples.len())
}

#[test]
fn every_example_is_what_the_command_prints() {
    assert_eq!(recompute(&document()), Ok(21), "one for each family, two over more steps");
}

#[test]
fn a_wrong_digit_is_seen() {
    let document = document();
    for (right, wrong) in [("0.161854917196", "0.161854917197"), ("n11          3", "n11          2")] {
        assert!(document.contains(right));
        let said = recompute(&document.replace(right, wrong)).unwrap_err();
        assert!(said.contains(wrong), "{said}");
    }
}

#[test]
fn every_family_has_its_section() {
    let help = Folder::new().run(&["model", "calc", "--help"]).out;
    let (_, measures) = help.split_once("Measures, and what they take:").unwrap();
    // A family's line is indented by two, what it is and takes by more.
    let families = measures.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<_> = families.map(|line| line.trim().split(',').next().unwrap()).collect();
    assert_eq!(names.len(), 19, "{measures}");
    for name in names {
        assert!(document().contains(&format!("(`{name}`)\n")), "{name} has no section");
    }
}
