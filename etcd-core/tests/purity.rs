//! The core has no runtime, no socket, no clock, no thread, no randomness and no global: kept so by an allow-list
//! of dependencies and a list of words its sources may not contain.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the core may depend on, and why that is pure.
const DEPENDENCIES: [(&str, &str); 9] = [
    ("base64", "bytes to text and back"),
    ("bytes", "shared buffers"),
    (
        "futures-core",
        "the trait Stream, which the seam Transport mentions",
    ),
    ("http", "types of HTTP messages, without input or output"),
    ("memchr", "search in slices"),
    ("serde", "traits of encoding"),
    ("serde_json", "JSON in memory"),
    ("sha2", "the checksum of snapshots"),
    ("thiserror", "a macro"),
];

/// What no dependency, direct or not, may be.
const IMPURE: [&str; 14] = [
    "tokio",
    "async-std",
    "smol",
    "async-io",
    "mio",
    "socket2",
    "hyper",
    "reqwest",
    "rustls",
    "openssl",
    "libc",
    "getrandom",
    "rand",
    "fastrand",
];

/// Words that betray input, output, time, chance or sharing.
const FORBIDDEN: [&str; 20] = [
    "Instant::now",
    "SystemTime",
    ".elapsed()",
    "std::net",
    "std::fs",
    "std::io::stdin",
    "std::env",
    "std::process",
    "thread::spawn",
    "thread::sleep",
    "thread_local!",
    "println!",
    "eprintln!",
    "static mut",
    "OnceLock",
    "LazyLock",
    "async fn",
    ".await",
    "tokio::",
    "async_std::",
];

/// The uses of these words that are no impurity: file, word, why.
const EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "runtime.rs",
    "thread::spawn",
    "the default of a seam, which the core never calls",
)];

#[test]
fn dependencies_are_those_of_the_allow_list() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, rest) = manifest.split_once("[dependencies]\n").unwrap();
    let names: Vec<&str> = rest
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .collect();
    assert_eq!(names, DEPENDENCIES.map(|(name, _)| name));
}

#[test]
fn nothing_impure_comes_in_behind_a_dependency() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            "etcd-core",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let crates: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains(&"serde_json"), "{tree}");
    for impure in IMPURE {
        assert!(!crates.contains(&impure), "{impure} comes in:\n{tree}");
    }
}

#[test]
fn sources_contain_no_word_of_the_outside() {
    let mut found = Vec::new();
    for path in sources(&root().join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "tests.rs" || path.parent().is_some_and(|folder| folder.ends_with("tests")) {
            continue;
        }
        // Unit tests stand at the end of a file or in one of their own; they may take the time from where they like.
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for (number, line) in code.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            for word in FORBIDDEN
                .iter()
                .filter(|word| !is_comment && line.contains(**word))
            {
                let excepted = EXCEPTIONS
                    .iter()
                    .any(|(file, excepted, _)| file == &name && excepted == word);
                if !excepted {
                    found.push(format!("{}:{}: {word}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources.extend(self::sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
    assert!(!sources.is_empty(), "{}", folder.display());
    sources
}
