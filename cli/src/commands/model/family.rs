//! Families of measures: each a name, its convention in words, and the kernel's figures of a question.

use super::families;
use super::figure::Figures;
use super::question::{Question, Unanswered};

/// A family: what `calc` computes and `check` compares.
#[derive(Debug)]
pub(super) struct Family {
    /// As reference cases name it.
    pub(super) name: &'static str,
    /// Shorter names; families may share one.
    pub(super) aliases: &'static [&'static str],
    /// What it is, in a line.
    pub(super) about: &'static str,
    /// By which convention, for people.
    pub(super) convention: &'static str,
    /// What `calc` makes of a CSV file's columns.
    pub(super) columns: Columns,
    /// Inputs and parameters by name, each with what it is.
    pub(super) takes: &'static [(&'static str, &'static str)],
    /// The figures.
    pub(super) compute: fn(&Question<'_>) -> Result<Figures, Unanswered>,
}

/// What a family makes of a CSV file's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    /// It takes no series.
    None,
    /// One, as a series under this name.
    One(&'static str),
    /// Two or more, side by side.
    Several,
    /// One for each of these names.
    Named(&'static [&'static str]),
    /// Records under this name: the file's first line names their fields itself.
    Records(&'static str),
}

/// All of them. A new family is a file in `families`, and a line here.
pub(super) static FAMILIES: &[&Family] = &[
    &families::historical::FAMILY,
    &families::gaussian::FAMILY,
    &families::cornish_fisher::FAMILY,
    &families::ewma::FAMILY,
    &families::filtered::FAMILY,
    &families::aged::FAMILY,
    &families::kupiec::FAMILY,
    &families::christoffersen::FAMILY,
    &families::traffic_light::FAMILY,
    &families::acerbi_szekely::FAMILY,
    &families::correlation::FAMILY,
    &families::contributions::FAMILY,
    &families::concentration::FAMILY,
    &families::liquidity::FAMILY,
    &families::max_drawdown::FAMILY,
    &families::pnl::FAMILY,
    &families::daily_pnl::FAMILY,
    &families::stress::FAMILY,
    &families::conduct::FAMILY,
];

impl Family {
    /// Of this name, exactly.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        FAMILIES.iter().copied().find(|family| family.name == name)
    }

    /// All that have this name or this shorter one.
    pub(super) fn called(name: &str) -> Vec<&'static Self> {
        let called = |family: &&&'static Self| family.name == name || family.aliases.contains(&name);
        FAMILIES.iter().filter(called).copied().collect()
    }

    /// Every name that [`Family::called`] answers to, each once.
    pub(super) fn names() -> Vec<&'static str> {
        let mut names = Vec::new();
        for family in FAMILIES {
            for name in std::iter::once(&family.name).chain(family.aliases) {
                if !names.contains(name) {
                    names.push(name);
                }
            }
        }
        names
    }
}

/// Measures and the names to ask for them by, for the help.
pub(super) fn help() -> String {
    let mut lines = Vec::new();
    for family in FAMILIES {
        let names: Vec<_> = std::iter::once(family.name).chain(family.aliases.iter().copied()).collect();
        lines.push(format!("  {}\n    {}", names.join(", "), family.about));
        lines.extend(family.takes.iter().map(|(name, what)| format!("      {name}: {what}")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_one_is_found() {
        for family in FAMILIES {
            assert_eq!(Family::named(family.name).map(|it| it.name), Some(family.name));
            assert!(FAMILIES.iter().all(|other| !other.aliases.contains(&family.name)), "{}", family.name);
            assert!(!family.convention.is_empty() && !family.takes.is_empty());
        }
        assert!(Family::names().iter().all(|name| !Family::called(name).is_empty()));
        assert_eq!(Family::called("var").len(), 2);
        assert!(Family::called("adwin").is_empty());
    }
}
