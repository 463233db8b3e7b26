//! Runs every suite and sums up what the test runners said.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Workspaces of their own that have tests, tested when they are there.
const OTHER_WORKSPACES: [&str; 1] = ["contrib/surf"];

/// What the closing lines of test runners add up to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// Runs every suite of this workspace, then those of [`OTHER_WORKSPACES`], and ends with `N passed, N failed`.
///
/// `args` go to each `cargo test`.
pub(crate) fn run_all(args: &[String]) -> Result<(), String> {
    let mut sum = Sum::default();
    let mut failures = Vec::new();
    let mut run = |name: &str, own_args: &[&str]| {
        let before = sum.failed;
        let is_ok = cargo_test(own_args, args, &mut sum)?;
        if !is_ok {
            // A suite that does not build, or dies, has no closing line and is a failure all the same.
            sum.failed = sum.failed.max(before + 1);
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
    println!("\n{sum}");
    if failures.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failures.join(", ")))
    }
}

/// Runs one `cargo test`, passes on what it prints, and adds up the closing lines.
fn cargo_test(own_args: &[&str], args: &[String], sum: &mut Sum) -> Result<bool, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command
        .arg("test")
        .args(own_args)
        .arg("--no-fail-fast")
        .args(args)
        .stdout(Stdio::piped());
    println!(
        "\n$ cargo {}",
        command
            .get_args()
            .map(|arg| arg.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    );
    let mut child = command.spawn().map_err(|e| format!("cannot run cargo: {e}"))?;
    let mut output = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut line = Vec::new();
    let mut stdout = io::stdout();
    // Bytes, not text: a test may print anything.
    while output
        .read_until(b'\n', &mut line)
        .map_err(|e| format!("cannot read from cargo: {e}"))?
        > 0
    {
        stdout
            .write_all(&line)
            .and_then(|()| stdout.flush())
            .map_err(|e| format!("cannot print: {e}"))?;
        sum.add(&String::from_utf8_lossy(&line));
        line.clear();
    }
    let status = child.wait().map_err(|e| format!("cannot wait for cargo: {e}"))?;
    Ok(status.success())
}

impl Sum {
    /// Takes in `test result: ok. 12 passed; 0 failed; 1 ignored; …`; any other line is none of its business.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;

    #[test]
    fn closing_lines_add_up_and_other_lines_do_not() {
        let mut sum = Sum::default();
        for line in [
            "running 13 tests\n",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.02s\n",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s\n",
            "7 passed\n",
        ] {
            sum.add(line);
        }
        assert_eq!(
            sum,
            Sum {
                passed: 15,
                failed: 2,
                skipped: 1
            }
        );
        assert_eq!(sum.to_string(), "15 passed, 2 failed, 1 skipped");
    }
}
