//! Dependencies point one way. This reads the imports and says so.
#![allow(missing_docs)]

use std::path::{Path, PathBuf};

/// What a part of the engine must not name, and why.
const RULES: &[(&str, &[&str], &str)] = &[
    (
        "domain",
        &[
            "tokio",
            "ractor",
            "fjall",
            "redis",
            "scylla",
            "getrandom",
            "Instant::now",
            "SystemTime",
            "crate::protocol",
            "crate::store",
            "crate::tokens",
            "crate::cluster",
            "crate::bus",
            "crate::socket",
            "crate::actors",
            "crate::engine",
            "crate::clock",
        ],
        "the domain is pure: no task, no driver, no clock, no randomness, nothing of the layers above",
    ),
    (
        "protocol",
        &[
            "tokio",
            "ractor",
            "fjall",
            "redis",
            "scylla",
            "getrandom",
            "Instant::now",
            "SystemTime",
            "crate::store",
            "crate::tokens",
            "crate::socket",
            "crate::actors",
            "crate::engine",
            "crate::clock",
        ],
        "the protocol is bytes in and bytes out",
    ),
    (
        "store",
        &["ractor", "crate::actors", "crate::socket", "crate::engine", "crate::protocol", "crate::tokens"],
        "a store never calls back",
    ),
    (
        "tokens",
        &["ractor", "crate::actors", "crate::socket", "crate::engine", "crate::store"],
        "an adapter knows its trait",
    ),
    (
        "bus",
        &[
            "ractor",
            "crate::actors",
            "crate::socket",
            "crate::engine",
            "crate::protocol",
            "crate::store",
            "crate::tokens",
            "crate::domain",
        ],
        "a bus carries bytes and calls nobody",
    ),
    (
        "cluster",
        &["ractor", "crate::actors", "crate::socket", "crate::engine", "crate::protocol", "crate::tokens"],
        "rows that nodes share decide nothing",
    ),
    (
        "socket",
        &["ractor", "crate::actors", "crate::engine", "crate::store", "crate::domain"],
        "a socket moves bytes",
    ),
    ("actors", &["fjall", "crate::engine", "embedded", "axum", "hyper"], "actors know traits, not adapters"),
    ("engine", &["fjall", "embedded", "axum", "hyper"], "only the composition root chooses adapters"),
];

#[test]
fn dependencies_point_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut broken = Vec::new();
    for (part, banned, why) in RULES {
        let files = rust_files(&src.join(part));
        assert!(!files.is_empty(), "{part} has moved: mend this test");
        for file in files {
            for (number, line) in code_lines(&file) {
                for name in banned.iter().filter(|name| line.contains(**name)) {
                    broken.push(format!("{}:{number} names {name}: {why}", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_engine_knows_no_http_framework() {
    let manifest = include_str!("../Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).expect("a section");
    for name in ["axum", "hyper", "tower"] {
        assert!(!dependencies.lines().any(|line| line.starts_with(name)), "{name}");
    }
}

#[test]
fn files_stay_rooms_and_not_houses() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in rust_files(&src) {
        let lines = code_lines(&file).len();
        assert!(
            lines <= 400,
            "{} has {lines} lines: a part with a name of its own should move out",
            file.display()
        );
    }
}

fn rust_files(path: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Lines of a file outside comments and its tests, with their numbers.
fn code_lines(file: &Path) -> Vec<(usize, String)> {
    if file.file_name().is_some_and(|name| name == "tests.rs" || name == "contract.rs") {
        return Vec::new();
    }
    let text = std::fs::read_to_string(file).expect("a source file");
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//") && !line.trim().is_empty())
        .map(|(index, line)| (index + 1, line.to_owned()))
        .collect()
}
