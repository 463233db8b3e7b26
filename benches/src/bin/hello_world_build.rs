//! What it takes to build a hello-world: on anyetcd with Tokio, beside one on etcd-client.
//!
//! ```sh
//! cargo run --release --bin hello_world_build -- --rounds 3
//! ```
//!
//! Each is built from nothing, in release mode with the same flags and lock file, one after the other, into a folder of
//! its own that is removed before. All sources are fetched beforehand, so that no network is measured.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyetcd_benches::{median, used};
use nix::sys::resource::UsageWho;

const PACKAGES: [&str; 2] = ["hello-anyetcd", "hello-etcd-client"];

/// What one build took.
struct Built {
    time: Duration,
    cpu: Duration,
    /// The package itself not counted.
    crates: usize,
    executable_bytes: u64,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let rounds = match args[..] {
        [] => Some(1),
        ["--rounds", rounds] => rounds.parse().ok().filter(|n| *n > 0),
        _ => None,
    };
    let Some(rounds) = rounds else {
        eprintln!("usage: hello_world_build [--rounds N]");
        return ExitCode::from(2);
    };
    match measure(rounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(rounds: usize) -> Result<(), String> {
    if Command::new("protoc").arg("--version").output().is_err() {
        return Err("etcd-client needs protoc; on Debian: apt-get install protobuf-compiler".to_owned());
    }
    let fetched = cargo().args(["fetch", "--locked"]).status();
    if !fetched.is_ok_and(|status| status.success()) {
        return Err("cannot fetch the sources".to_owned());
    }
    println!(
        "{:<20} {:>8} {:>8} {:>7} {:>16}",
        "", "seconds", "CPU s", "crates", "executable bytes"
    );
    let mut all = [const { Vec::new() }; PACKAGES.len()];
    for _ in 0..rounds {
        for (package, all) in PACKAGES.iter().zip(&mut all) {
            let built = build(package)?;
            println!(
                "{package:<20} {:>8.1} {:>8.1} {:>7} {:>16}",
                built.time.as_secs_f64(),
                built.cpu.as_secs_f64(),
                built.crates,
                built.executable_bytes,
            );
            all.push(built);
        }
    }
    let ratio = |of: fn(&Built) -> f64| {
        let [anyetcd, etcd_client] = &all;
        median(anyetcd.iter().map(of)) / median(etcd_client.iter().map(of))
    };
    println!(
        "\nof etcd-client's: {:.2} of the time, {:.2} of the CPU time, {:.2} of the crates (medians)",
        ratio(|built| built.time.as_secs_f64()),
        ratio(|built| built.cpu.as_secs_f64()),
        ratio(|built| built.crates as f64),
    );
    Ok(())
}

fn build(package: &str) -> Result<Built, String> {
    let folder = manifest_dir().join("target").join("hello-world").join(package);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let (started, cpu_before) = (Instant::now(), used(UsageWho::RUSAGE_CHILDREN));
    let output = cargo()
        .args([
            "build",
            "--release",
            "--locked",
            "--offline",
            "--message-format=json",
            "--package",
            package,
        ])
        .arg("--target-dir")
        .arg(&folder)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    let time = started.elapsed();
    let cpu = used(UsageWho::RUSAGE_CHILDREN) - cpu_before;
    if !output.status.success() {
        return Err(format!("{package} does not build"));
    }

    let mut crates = BTreeSet::new();
    let mut executable_bytes = 0;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if message["reason"] == "compiler-artifact" {
            crates.insert(message["package_id"].to_string());
        }
        if let Some(executable) = message["executable"].as_str() {
            executable_bytes = fs::metadata(executable).map_err(|error| error.to_string())?.len();
        }
    }
    Ok(Built {
        time,
        cpu,
        crates: crates.len() - 1,
        executable_bytes,
    })
}

/// Cargo, without what this process's own cargo left in the environment: flags, or a target directory.
fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(manifest_dir());
    for variable in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_JOBS",
    ] {
        command.env_remove(variable);
    }
    command
}

fn manifest_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
