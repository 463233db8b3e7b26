//! Runs every suite and sums up what the test runners said.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use crate::piped::run_piped;
use crate::report::Report;

/// Workspaces of their own that have tests, tested when they are there.
const OTHER_WORKSPACES: [&str; 1] = ["contrib/surf"];

/// Runs every suite of this workspace, then those of [`OTHER_WORKSPACES`], and ends with each failure in a few lines
/// and `N passed, N failed`.
///
/// `args` go to each `cargo test`.
pub(crate) fn run_all(args: &[String]) -> Result<(), String> {
    let mut report = Report::default();
    let mut failures = Vec::new();
    let mut run = |name: &str, own_args: &[&str]| {
        let before = report.failed;
        let is_ok = cargo_test(own_args, args, &mut report)?;
        if !is_ok {
            // A suite that does not build, or dies, has no closing line and is a failure all the same.
            report.failed = report.failed.max(before + 1);
            failures.push(name.to_owned());
        }
        Ok::<(), String>(())
    };
    // A package named in `args` takes the place of the whole workspace.
    let is_package = |arg: &String| arg.starts_with("-p") || arg.starts_with("--package");
    let options = args.iter().take_while(|arg| *arg != "--");
    if options.clone().any(is_package) {
        run("the chosen packages", &["--all-features"])?;
    } else {
        run("the workspace", &["--workspace", "--all-features"])?;
        for other in OTHER_WORKSPACES {
            let manifest = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("..")
                .join(other)
                .join("Cargo.toml");
            if manifest.is_file() {
                let manifest = manifest.display().to_string();
                run(
                    other,
                    &["--workspace", "--all-features", "--manifest-path", &manifest],
                )?;
            }
        }
    }
    println!("\n{report}");
    if failures.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failures.join(", ")))
    }
}

/// Runs one `cargo test`, passes on what it prints, and has it reported.
fn cargo_test(own_args: &[&str], args: &[String], report: &mut Report) -> Result<bool, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command
        .arg("test")
        .args(own_args)
        .arg("--no-fail-fast")
        .args(args);
    println!(
        "\n$ cargo {}",
        command
            .get_args()
            .map(|arg| arg.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    );
    let mut stdout = io::stdout();
    let status = run_piped(command, |line| {
        report.add(&String::from_utf8_lossy(line));
        stdout.write_all(line).and_then(|()| stdout.flush())
    });
    let status = status.map_err(|e| format!("cannot run cargo: {e}"))?;
    Ok(status.success())
}
