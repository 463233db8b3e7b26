//! What the output of test runners comes to: how many passed, and what was said of each that failed.

use std::fmt;

/// Lines of a failure that are told again at the end. An assertion takes four.
const LINES_OF_A_FAILURE: usize = 8;

/// Characters of such a line.
const LINE_LENGTH: usize = 300;

/// Failures that are told again at the end: what broke everything need not be told a thousand times.
const FAILURES_TOLD: usize = 20;

/// What the lines of `cargo test` add up to.
///
/// It is told again at the end because a log of thousands of lines is often kept, or looked at, by its end only.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// The suite that runs, as Cargo names it.
    suite: String,
    failures: Vec<Failure>,
    /// Whether the lines that come belong to the last of `failures`.
    is_in_failure: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Failure {
    suite: String,
    test: String,
    lines: Vec<String>,
}

impl Report {
    /// Takes in a line of Cargo's or of a test runner's; most are none of its business.
    pub(crate) fn add(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(suite) = named_suite(line) {
            suite.clone_into(&mut self.suite);
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.is_in_failure = false;
            self.add_counts(counts);
        } else if let Some(test) = failed_test(line) {
            self.is_in_failure = true;
            self.failures.push(Failure {
                suite: self.suite.clone(),
                test: test.to_owned(),
                lines: Vec::new(),
            });
        } else if line.contains("process didn't exit successfully") && line.contains("(signal: ") {
            self.is_in_failure = false;
            self.failures.push(Failure {
                suite: self.suite.clone(),
                test: "died".to_owned(),
                lines: vec![line.trim_start().chars().take(LINE_LENGTH).collect()],
            });
        } else if line.starts_with("error: could not compile ") {
            self.failures.push(Failure {
                suite: "cargo".to_owned(),
                test: line.chars().take(LINE_LENGTH).collect(),
                lines: Vec::new(),
            });
        } else if line == "failures:" || line.contains(", to rerun pass ") {
            // The names alone, once more; what Cargo has to say of it.
            self.is_in_failure = false;
        } else if self.is_in_failure
            && !line.is_empty()
            && let Some(failure) = self.failures.last_mut()
        {
            failure.add(line);
        }
    }

    /// Takes in `ok. 12 passed; 0 failed; 1 ignored; …`.
    fn add_counts(&mut self, counts: &str) {
        let Some((_, counts)) = counts.split_once(". ") else {
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

impl Failure {
    /// Keeps what was said from the panic on, and what was said before only until there is one.
    fn add(&mut self, line: &str) {
        if line.contains("panicked at") && !self.has_panic() {
            self.lines.clear();
        }
        if self.lines.len() < LINES_OF_A_FAILURE {
            self.lines.push(line.chars().take(LINE_LENGTH).collect());
        }
    }

    fn has_panic(&self) -> bool {
        self.lines
            .first()
            .is_some_and(|line| line.contains("panicked at"))
    }
}

/// `tests/on_tokio.rs` of `     Running tests/on_tokio.rs (target/debug/deps/on_tokio-0123456789abcdef)`, or the crate
/// whose examples are tested.
fn named_suite(line: &str) -> Option<&str> {
    let line = line.strip_prefix("   ")?.trim_start();
    if line.starts_with("Doc-tests ") {
        return Some(line);
    }
    let (suite, executable) = line.strip_prefix("Running ")?.split_once(" (")?;
    executable.ends_with(')').then_some(suite)
}

/// `watch::ends` of `---- watch::ends stdout ----`.
fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in self.failures.iter().take(FAILURES_TOLD) {
            writeln!(f, "FAILED: {}: {}", failure.suite, failure.test)?;
            for line in &failure.lines {
                writeln!(f, "    {line}")?;
            }
        }
        if self.failures.len() > FAILURES_TOLD {
            writeln!(f, "and {} more", self.failures.len() - FAILURES_TOLD)?;
        }
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
    use super::Report;

    fn report(output: &str) -> Report {
        let mut report = Report::default();
        for line in output.lines() {
            report.add(line);
        }
        report
    }

    #[test]
    fn closing_lines_add_up_and_other_lines_do_not() {
        let report = report(
            "running 13 tests
test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.02s
test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s
7 passed
",
        );
        assert_eq!(report.to_string(), "15 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn each_failure_is_told_with_its_suite_and_its_panic() {
        let report = report(
            "     Running tests/on_smol.rs (target/debug/deps/on_smol-0123456789abcdef)

running 2 tests
test kv::puts ... ok
test kv::gets ... FAILED

failures:

---- kv::gets stdout ----
seed 12

thread 'kv::gets' (77) panicked at tests/suite/kv.rs:12:5:
assertion `left == right` failed
  left: 1
 right: 2
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace


failures:
    kv::gets

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s

   Doc-tests anyetcd
---- src/lib.rs - (line 4) stdout ----
error: no such thing
     Running tests/soak.rs (target/debug/deps/soak-0123456789abcdef)
error: test failed, to rerun pass `-p anyetcd --test soak`

Caused by:
  process didn't exit successfully: `target/debug/deps/soak-0123456789abcdef` (signal: 6, SIGABRT: process abort signal)
",
        );
        assert_eq!(
            report.to_string(),
            "FAILED: tests/on_smol.rs: kv::gets
    thread 'kv::gets' (77) panicked at tests/suite/kv.rs:12:5:
    assertion `left == right` failed
      left: 1
     right: 2
    note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
FAILED: Doc-tests anyetcd: src/lib.rs - (line 4)
    error: no such thing
FAILED: tests/soak.rs: died
    process didn't exit successfully: `target/debug/deps/soak-0123456789abcdef` (signal: 6, SIGABRT: process abort signal)
1 passed, 1 failed"
        );
    }

    #[test]
    fn much_that_failed_is_told_shortly() {
        let mut output = String::new();
        for test in 0..25 {
            output += &format!("---- t{test} stdout ----\npanicked at a:1:1:\n");
            output += &"x".repeat(1000);
            output += &"\ny".repeat(100);
            output += "\n";
        }
        let told = report(&output).to_string();
        assert!(told.lines().count() < 200, "{told}");
        assert!(told.lines().all(|line| line.len() < 320), "{told}");
        assert!(told.contains("and 5 more"), "{told}");
    }
}
