//! Where the server binaries are.
//!
//! One folder a version, and one link a dialect that names the version which speaks it here:
//!
//! ```text
//! target/etcd/3.4.23/{etcd,etcdctl}      target/etcd/g1.6  -> 3.4.23
//! target/etcd/3.5.1/{etcd,etcdctl}       target/etcd/g1.16 -> 3.5.1
//! target/etcd/3.5.30/{etcd,etcdctl}      target/etcd/g2    -> 3.5.30
//! ```
//!
//! `cargo xtask etcd` fills it. The environment variable `ETCD_BINARIES` names another folder of the same layout.
//!
//! A client of another language lies beside it, for tests of what such clients need: Python's etcd3gw and all that it
//! imports, a folder for `PYTHONPATH`.
//!
//! ```text
//! target/etcd3gw/2.7.0/{etcd3gw,requests,…}
//! ```

use std::env;
use std::path::{Path, PathBuf};

use crate::Dialect;

/// The folder that holds the dialects: `ETCD_BINARIES`, else `etcd` in the target directory (`CARGO_TARGET_DIR`, else
/// the workspace's `target`).
pub fn folder() -> PathBuf {
    if let Some(folder) = env::var_os("ETCD_BINARIES") {
        return folder.into();
    }
    target().join("etcd")
}

/// The version of etcd3gw that tests run.
pub const ETCD3GW_VERSION: &str = "2.7.0";

/// Where etcd3gw is, or is to be.
pub fn etcd3gw_folder() -> PathBuf {
    target().join("etcd3gw").join(ETCD3GW_VERSION)
}

/// Where etcd3gw is.
///
/// # Panics
///
/// If it is not there, with the command that fetches it.
pub fn etcd3gw() -> PathBuf {
    let folder = etcd3gw_folder();
    assert!(
        folder.join("etcd3gw").is_dir(),
        "no etcd3gw at {}; `cargo xtask etcd` fetches it",
        folder.display()
    );
    folder
}

/// The server of `dialect`.
///
/// # Panics
///
/// If it is not there, with the command that fetches it.
pub fn etcd(dialect: Dialect) -> PathBuf {
    find(dialect, "etcd")
}

/// The command-line client that came with the server of `dialect`.
///
/// # Panics
///
/// If it is not there, with the command that fetches it.
pub fn etcdctl(dialect: Dialect) -> PathBuf {
    find(dialect, "etcdctl")
}

/// The version that speaks `dialect` here, as the folder's link tells: usually [`Dialect::version`], a later one where
/// the distribution has moved on.
///
/// # Panics
///
/// If it is not there, with the command that fetches it.
pub fn version(dialect: Dialect) -> String {
    let etcd = etcd(dialect);
    let real = etcd
        .canonicalize()
        .unwrap_or_else(|e| panic!("{}: {e}", etcd.display()));
    let folder = real.parent().and_then(Path::file_name).unwrap_or_default();
    folder.to_string_lossy().into_owned()
}

fn find(dialect: Dialect, program: &str) -> PathBuf {
    let path = folder().join(dialect.name()).join(program);
    assert!(
        path.is_file(),
        "no {program} of dialect {dialect} at {}; `cargo xtask etcd` fetches the servers",
        path.display()
    );
    path
}

/// The target directory.
fn target() -> PathBuf {
    // Relative to the workspace, as cargo was told it there: a test's own working directory is its package's.
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    workspace().join(target)
}

/// The folder that holds the workspace's `Cargo.toml`.
fn workspace() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .expect("this package lies two folders below the workspace")
}
