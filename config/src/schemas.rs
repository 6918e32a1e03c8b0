//! `topics.schemas_dir`: schemas of writers that are not among the released ones.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crate::section::Section;

/// The most schemas in a folder.
const MAX_FILES: usize = 1_000;
/// The largest schema, bytes.
const MAX_BYTES: u64 = 1 << 20;

/// A writer's schema, in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFile {
    /// The file, as errors name it.
    pub name: String,
    /// The schema: JSON.
    pub text: String,
}

/// Reads every `.avsc` file of the folder that `key` names, by name; nothing if it names none. What they hold
/// goes into the configuration version, what they are called does not.
pub(crate) fn read_folder(section: &mut Section<'_>, key: &'static str) -> Vec<SchemaFile> {
    let Some(written) = section.optional::<String>(key) else { return Vec::new() };
    let folder = section.resolve(&written);
    let expected = format!("a folder with .avsc files: at most {MAX_FILES}, none over {MAX_BYTES} bytes");
    let files = match files_of(&folder) {
        Ok(files) => files,
        Err(problem) => {
            section.fail(key, &problem, &expected);
            return Vec::new();
        }
    };
    let mut hashes: Vec<_> =
        files.iter().map(|file| *blake3::hash(file.text.as_bytes()).as_bytes()).collect();
    hashes.sort_unstable();
    let all = blake3::hash(hashes.as_flattened()).to_hex().to_string();
    section.context().references.borrow_mut().insert(section.path_of(key), all);
    files
}

fn files_of(folder: &Path) -> Result<Vec<SchemaFile>, String> {
    let at = |path: &Path, error: io::Error| format!("{} cannot be read: {error}", path.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| at(folder, error))? {
        let path = entry.map_err(|error| at(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "avsc") {
            paths.push(path);
        }
    }
    if paths.len() > MAX_FILES {
        return Err(format!("{} holds {} schemas", folder.display(), paths.len()));
    }
    paths.sort();
    let read = |path: &Path| {
        let mut text = String::new();
        let file = fs::File::open(path).map_err(|error| at(path, error))?;
        let length = file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| at(path, error))?;
        if length as u64 > MAX_BYTES {
            return Err(format!("{} is longer than {MAX_BYTES} bytes", path.display()));
        }
        Ok(SchemaFile { name: path.display().to_string(), text })
    };
    paths.iter().map(|path| read(path)).collect()
}
