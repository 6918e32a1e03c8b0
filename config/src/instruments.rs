//! The reference file of instruments: what one unit of a symbol is worth, and in which currency.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use rust_decimal::Decimal;
use serde::Serialize;

use crate::layer::{self, Node};
use crate::section::Section;

/// So many sectors there may be: what is held of each is in every level.
const MOST_SECTORS: usize = 1_000;

/// One instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instrument {
    /// The symbol, as market data names it.
    pub symbol: String,
    /// Value of one unit at a price of one, in the currency: 1 for spot, a future's contract size.
    pub multiplier: Decimal,
    /// The currency of its prices, if it is kept here.
    pub currency: Option<String>,
    /// Its sector, if the desk keeps any.
    pub sector: Option<String>,
}

/// Reads the file that the section's `key` names; nothing if it names none. The bytes are hashed into the
/// configuration version.
pub(crate) fn read_file(section: &mut Section<'_>, key: &'static str) -> Vec<Instrument> {
    let Some(written) = section.optional::<String>(key) else { return Vec::new() };
    let path = section.resolve(&written);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let problem = format!("{} cannot be read: {error}", path.display());
            section.fail(key, &problem, "a TOML file with [[instruments]]");
            return Vec::new();
        }
    };
    let context = section.context();
    let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
    context.references.borrow_mut().insert(section.path_of(key), hash);
    let name = path.display().to_string();
    let table = layer::parse(&text, Some(&name), &mut context.errors.borrow_mut());
    let mut root = Section::root(&table, context);
    let instruments = root.groups("instruments", |one| Instrument {
        symbol: one.get_if("symbol", |s: &String| !s.is_empty(), "a symbol"),
        multiplier: one.get_if("multiplier", |m: &Decimal| *m > Decimal::ZERO, "a number above 0"),
        currency: one.optional_if("currency", |c: &String| !c.is_empty(), "a currency's code"),
        sector: one.optional_if(
            "sector",
            |s: &String| (1..=100).contains(&s.len()) && s != "none",
            "a name of at most 100 bytes, other than none, which is of symbols without one",
        ),
    });
    root.refuse_unknown();
    let sectors: BTreeSet<_> = instruments.iter().filter_map(|one| one.sector.as_deref()).collect();
    if sectors.len() > MOST_SECTORS {
        let problem = format!("there are {} sectors", sectors.len());
        root.fail("instruments", &problem, &format!("at most {MOST_SECTORS}"));
    }
    refuse_doubles(&root, "instruments", "symbol", instruments.iter().map(|one| one.symbol.as_str()));
    instruments
}

/// The names of the measures of sectors; nothing if no instrument has any.
pub(crate) fn measures(instruments: &[Instrument]) -> Vec<String> {
    let of = if instruments.iter().any(|one| one.sector.is_some()) { &SECTORS[..] } else { &[] };
    of.iter().map(|name| (*name).to_owned()).collect()
}

/// Measures of the sector in which they are largest.
const SECTORS: [&str; 3] = ["sector_gross", "sector_net", "sector_share"];

/// Notes every name that the list `key` holds a second time.
pub(crate) fn refuse_doubles<'n>(
    section: &Section<'_>,
    key: &str,
    field: &str,
    names: impl Iterator<Item = &'n str>,
) {
    let mut first = BTreeMap::new();
    for (i, name) in names.enumerate().filter(|(_, name)| !name.is_empty()) {
        if let Some(earlier) = first.get(name) {
            let path = section.path_of(&format!("{key}[{i}].{field}"));
            let problem = format!("`{name}` is there already, at {key}[{earlier}]");
            section.push(path, &section.place_in(key, i, field), problem, "a name that is not taken".into());
        } else {
            first.insert(name, i);
        }
    }
}

impl Section<'_> {
    /// Notes an error about a field of a list's item.
    pub(crate) fn fail_in(&self, key: &str, index: usize, field: &str, problem: &str, expected: &str) {
        let path = self.path_of(&format!("{key}[{index}].{field}"));
        self.push(path, &self.place_in(key, index, field), problem.into(), expected.into());
    }

    /// Where the field of the list's item was written.
    fn place_in(&self, key: &str, index: usize, field: &str) -> crate::Origin {
        let item = self.peek(key).and_then(|entry| match &entry.node {
            Node::List(items) => items.get(index),
            _ => None,
        });
        match item.map(|item| (&item.node, &item.origin)) {
            Some((Node::Table(table), origin)) => {
                table.get(field).map_or(origin, |entry| &entry.origin).clone()
            }
            Some((_, origin)) => origin.clone(),
            None => crate::Origin::Default,
        }
    }
}
