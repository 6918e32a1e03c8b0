//! The code version: a digest of every source file that outputs depend on.
//!
//! The same sources give the same version on every machine, whatever built them; a changed monitor gives
//! another, and with it a new epoch in every journal.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut hasher = blake3::Hasher::new();
    for folder in ["../schemas/src", "../schemas/avsc", "../monitors/src", "src"] {
        let folder = root.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        add(&folder, &mut hasher);
    }
    let version = std::env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    let digest = hasher.finalize().to_hex();
    println!("cargo::rustc-env=TAPEWATCH_CODE_VERSION={version}+{}", &digest[..12]);
}

/// Adds every file below a folder, by name, so that the order is the same everywhere.
fn add(folder: &Path, hasher: &mut blake3::Hasher) {
    let entries = fs::read_dir(folder).expect("the workspace's folders are there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            add(&path, hasher);
        } else {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let bytes = fs::read(&path).expect("a readable file");
            let name = name.unwrap_or_default();
            hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
        }
    }
}
