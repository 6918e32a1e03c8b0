//! Reading a table key by key: what is wrong is written down and reading goes on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::described::{Description, expecting};
use crate::error::{ConfigError, Origin, nearest};
use crate::layer::{Entry, Node, Table};
use crate::value::Setting;
use crate::variables;

/// What all sections of one load share.
#[derive(Debug)]
pub(crate) struct Context {
    /// What paths in the file are relative to.
    pub(crate) folder: PathBuf,
    pub(crate) errors: RefCell<Vec<ConfigError>>,
    /// Paths of secrets, never to be shown.
    pub(crate) secrets: RefCell<BTreeSet<String>>,
    /// Files that results depend on, by the path of the setting that names them: hash of their bytes.
    pub(crate) references: RefCell<BTreeMap<String, String>>,
}

/// One table that is being read. A value that does not fit is noted as an error and stands as its type's
/// default, which never leaves the crate: a load with errors gives no settings.
pub(crate) struct Section<'a> {
    path: String,
    origin: Origin,
    table: Option<&'a Table>,
    known: Vec<&'static str>,
    context: &'a Context,
    /// What is written down of the table where nothing is read, and the settings are only described.
    description: Option<Description>,
}

impl<'a> Section<'a> {
    pub(crate) fn root(table: &'a Table, context: &'a Context) -> Self {
        Self {
            path: String::new(),
            origin: Origin::Default,
            table: Some(table),
            known: Vec::new(),
            context,
            description: None,
        }
    }

    /// A table that is not there, to be described.
    pub(crate) fn described(context: &'a Context) -> Self {
        let description = Some(Description::default());
        Self {
            path: String::new(),
            origin: Origin::Default,
            table: None,
            known: Vec::new(),
            context,
            description,
        }
    }

    /// True if nothing is read, and every setting that there may be is to be asked for.
    pub(crate) fn is_described(&self) -> bool {
        self.description.is_some()
    }

    /// What was asked for, once all was.
    pub(crate) fn description(&mut self) -> Option<Value> {
        self.description.take().map(Description::schema)
    }

    /// Writes down a setting.
    fn describe(&mut self, key: &str, schema: impl FnOnce() -> Value) {
        if let Some(description) = &mut self.description {
            description.add(key, schema());
        }
    }

    pub(crate) fn context(&self) -> &'a Context {
        self.context
    }

    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }

    pub(crate) fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.and_then(|table| table.get(key))
    }

    /// The entry of a key, without making the key known.
    pub(crate) fn peek(&self, key: &str) -> Option<&'a Entry> {
        self.table.and_then(|table| table.get(key))
    }

    /// A setting that must be there.
    pub(crate) fn get<T: Setting>(&mut self, key: &'static str) -> T {
        self.get_if(key, |_| true, "")
    }

    /// A setting that must be there and pass `fits`; `expected` says what passes.
    pub(crate) fn get_if<T: Setting>(
        &mut self,
        key: &'static str,
        fits: impl Fn(&T) -> bool,
        expected: &str,
    ) -> T {
        self.describe(key, || expecting(T::schema(), expected));
        let wanted = if expected.is_empty() { T::expected() } else { expected.into() };
        match self.entry(key) {
            Some(entry) => self.convert(key, entry, fits, &wanted).unwrap_or_default(),
            None if self.table.is_none() => T::default(),
            None => {
                self.fail(key, "it is missing", &wanted);
                T::default()
            }
        }
    }

    /// A setting that need not be there.
    pub(crate) fn optional<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        self.optional_if(key, |_| true, "")
    }

    /// A setting that need not be there, and must pass `fits` if it is.
    pub(crate) fn optional_if<T: Setting>(
        &mut self,
        key: &'static str,
        fits: impl Fn(&T) -> bool,
        expected: &str,
    ) -> Option<T> {
        self.describe(key, || expecting(T::schema(), expected));
        let wanted = if expected.is_empty() { T::expected() } else { expected.into() };
        let entry = self.entry(key)?;
        Some(self.convert(key, entry, fits, &wanted).unwrap_or_default())
    }

    fn convert<T: Setting>(
        &self,
        key: &str,
        entry: &Entry,
        fits: impl Fn(&T) -> bool,
        expected: &str,
    ) -> Option<T> {
        let value = T::read(&entry.node).filter(|value| fits(value));
        if value.is_none() {
            self.fail(key, &format!("{} does not fit", entry.node.shown()), expected);
        }
        value
    }

    /// A list of plain values.
    pub(crate) fn values<T: Setting>(
        &mut self,
        key: &'static str,
        fits: impl Fn(&T) -> bool,
        expected: &str,
    ) -> Vec<T> {
        self.describe(key, || json!({"type": "array", "items": expecting(T::schema(), expected)}));
        let wanted = if expected.is_empty() { T::expected() } else { expected.into() };
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let Node::List(items) = &entry.node else {
            self.fail(
                key,
                &format!("{} does not fit", entry.node.shown()),
                &format!("a list, each {wanted}"),
            );
            return Vec::new();
        };
        let convert = |(i, item): (usize, &Entry)| {
            let value = T::read(&item.node).filter(|value| fits(value));
            if value.is_none() {
                let problem = format!("{} does not fit", item.node.shown());
                self.push(format!("{}[{i}]", self.path_of(key)), &item.origin, problem, wanted.clone());
            }
            value
        };
        items.iter().enumerate().filter_map(convert).collect()
    }

    /// A table of free keys, each with a text. Keys from variables have their `_` read as `.`.
    pub(crate) fn texts(&mut self, key: &'static str) -> BTreeMap<String, (String, Origin)> {
        let plain = json!({"type": ["string", "number", "boolean"]});
        self.describe(key, || json!({"type": "object", "additionalProperties": plain}));
        let Some(entry) = self.entry(key) else { return BTreeMap::new() };
        let Node::Table(table) = &entry.node else {
            self.fail(key, &format!("{} does not fit", entry.node.shown()), "a table");
            return BTreeMap::new();
        };
        let mut texts = BTreeMap::new();
        for (name, entry) in table {
            let text = match &entry.node {
                Node::Text(text) | Node::Given(text) | Node::Number(text) => text.clone(),
                Node::Flag(flag) => flag.to_string(),
                other => {
                    let (path, problem) = (self.path_of(key), format!("{} does not fit", other.shown()));
                    self.push(format!("{path}.\"{name}\""), &entry.origin, problem, "a text".into());
                    continue;
                }
            };
            let from_variable = matches!(entry.origin, Origin::Variable(_));
            let name = if from_variable { name.replace('_', ".") } else { name.clone() };
            texts.insert(name, (text, entry.origin.clone()));
        }
        texts
    }

    /// A table inside this one. One that is not there is read as empty.
    pub(crate) fn group<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'a>) -> T) -> T {
        static EMPTY: Table = Table::new();
        if self.is_described() {
            let (value, schema) = self.described_inside(key, read);
            self.describe(key, || schema);
            return value;
        }
        let (table, origin) = match self.entry(key) {
            Some(Entry { node: Node::Table(table), origin }) => (Some(table), origin.clone()),
            Some(entry) => {
                let expected = format!("a table, [{}], with its settings one by one", self.path_of(key));
                self.fail(key, &format!("{} does not fit", entry.node.shown()), &expected);
                (None, entry.origin.clone())
            }
            None => (self.table.map(|_| &EMPTY), self.origin.clone()),
        };
        self.inside(self.path_of(key), origin, table, read)
    }

    /// A table inside this one that need not be there.
    pub(crate) fn optional_group<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'a>) -> T,
    ) -> Option<T> {
        if !self.is_described() {
            self.entry(key)?;
        }
        Some(self.group(key, read))
    }

    /// A list of tables, `[[…]]`.
    pub(crate) fn groups<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'a>) -> T,
    ) -> Vec<T> {
        if self.is_described() {
            let (_, schema) = self.described_inside(key, &mut read);
            self.describe(key, || json!({"type": "array", "items": schema}));
            return Vec::new();
        }
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let path = self.path_of(key);
        let Node::List(items) = &entry.node else {
            let problem = format!("{} does not fit", entry.node.shown());
            self.fail(key, &problem, &format!("a list of tables, each under [[{path}]]"));
            return Vec::new();
        };
        let mut read_one = |(i, item): (usize, &'a Entry)| {
            let path = format!("{path}[{i}]");
            let table = if let Node::Table(table) = &item.node {
                Some(table)
            } else {
                let problem = format!("{} does not fit", item.node.shown());
                self.push(path.clone(), &item.origin, problem, "a table".into());
                None
            };
            self.inside(path, item.origin.clone(), table, &mut read)
        };
        items.iter().enumerate().map(&mut read_one).collect()
    }

    /// A table inside this one that is only described, and its schema.
    fn described_inside<T>(&self, key: &str, read: impl FnOnce(&mut Section<'a>) -> T) -> (T, Value) {
        let mut inner = Section::described(self.context);
        inner.path = self.path_of(key);
        let value = read(&mut inner);
        let schema = inner.description().unwrap_or(Value::Null);
        (value, schema)
    }

    fn inside<T>(
        &self,
        path: String,
        origin: Origin,
        table: Option<&'a Table>,
        read: impl FnOnce(&mut Section<'a>) -> T,
    ) -> T {
        let mut section =
            Section { path, origin, table, known: Vec::new(), context: self.context, description: None };
        let value = read(&mut section);
        section.refuse_unknown();
        value
    }

    /// Notes every key that nobody asked for. Called for the root by hand, for all others by their parent.
    pub(crate) fn refuse_unknown(&self) {
        for (key, entry) in self.table.into_iter().flatten() {
            if self.known.contains(&key.as_str()) {
                continue;
            }
            let near = nearest(key, self.known.iter().copied());
            let expected = match (near, &entry.origin) {
                (Some(near), Origin::Variable(_)) => variables::name_of(&self.path_of(near)),
                (Some(near), _) => format!("`{near}`"),
                (None, _) => format!("one of {}", self.known.join(", ")),
            };
            self.push(self.path_of(key), &entry.origin, "there is no such setting".into(), expected);
        }
    }

    /// Notes an error about the setting `key`.
    pub(crate) fn fail(&self, key: &str, problem: &str, expected: &str) {
        let origin = self.table.and_then(|table| table.get(key)).map_or(&self.origin, |entry| &entry.origin);
        self.push(self.path_of(key), origin, problem.into(), expected.into());
    }

    pub(crate) fn push(&self, path: String, origin: &Origin, problem: String, expected: String) {
        let origin = origin.clone();
        self.context.errors.borrow_mut().push(ConfigError::Setting { path, origin, problem, expected });
    }

    /// How many errors were found so far.
    pub(crate) fn errors(&self) -> usize {
        self.context.errors.borrow().len()
    }

    /// A path as it was written, from the configuration file's folder.
    pub(crate) fn resolve(&self, written: &str) -> PathBuf {
        self.context.folder.join(Path::new(written))
    }
}
