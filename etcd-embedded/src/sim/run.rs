//! Many seeds, and the command that repeats the one that failed.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use super::World;

/// Runs `test` with each of `count` seeds, in a [`World`] without faults and with one member.
///
/// See [`seeds`] for what the environment may change about that, and for what happens when one fails.
pub fn run(count: u64, mut test: impl FnMut(&World)) {
    seeds(count, |seed| test(&World::new(seed)));
}

/// Runs `test` with each of the seeds `0..count`.
///
/// | variable | |
/// |---|---|
/// | `SIM_SEED` | only this seed |
/// | `SIM_SEEDS` | this many instead of `count` |
/// | `SIM_FIRST_SEED` | beginning with this one |
///
/// When the test panics, the seed and a command that runs it again go to the standard error, and the panic goes on. A
/// long run tells there how far it is.
///
/// # Panics
///
/// If the test does, or a variable is not a number.
pub fn seeds(count: u64, mut test: impl FnMut(u64)) {
    let (first, count) = match variable("SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (
            variable("SIM_FIRST_SEED").unwrap_or(0),
            variable("SIM_SEEDS").unwrap_or(count),
        ),
    };
    let mut progress = Progress::new(count);
    for seed in first..first.saturating_add(count) {
        progress.note(seed - first);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(seed))) {
            eprintln!(
                "\nfails with seed {seed}; run it again with\n  {}\n",
                command(seed)
            );
            resume_unwind(panic);
        }
    }
}

/// Tells of a long run how far it is.
struct Progress {
    count: u64,
    begun: Instant,
    told: Instant,
}

impl Progress {
    const INTERVAL: Duration = Duration::from_secs(30);

    fn new(count: u64) -> Self {
        let now = Instant::now();
        Self {
            count,
            begun: now,
            told: now,
        }
    }

    fn note(&mut self, done: u64) {
        if self.told.elapsed() < Self::INTERVAL {
            return;
        }
        self.told = Instant::now();
        let seconds = self.begun.elapsed().as_secs_f64();
        let left = (self.count - done) as f64 * seconds / done.max(1) as f64;
        eprintln!(
            "{done} of {} seeds in {seconds:.0} s, {left:.0} s to go",
            self.count
        );
    }
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{name}={text} is not a number"),
    }
}

/// How to run this test with this seed: as far as cargo and the test harness say what is running.
fn command(seed: u64) -> String {
    let package = std::env::var("CARGO_PKG_NAME").map(|name| format!(" -p {name}"));
    let package = package.unwrap_or_default();
    let thread = std::thread::current();
    // The harness names the thread of a test after it, unless there is only one thread.
    let test = thread.name().filter(|name| *name != "main").unwrap_or_default();
    let file = std::env::current_exe().ok();
    let target = file.as_ref().and_then(|file| file.file_stem()?.to_str());
    // The file is named after the target, a dash and a hash.
    let target = target
        .and_then(|stem| Some(stem.rsplit_once('-')?.0))
        .unwrap_or_default();
    let profile = if cfg!(debug_assertions) { "" } else { " --release" };
    format!("SIM_SEED={seed} cargo test{profile}{package} --test {target} -- --exact {test} --nocapture")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_seed_is_named_in_a_command() {
        let command = command(17);
        assert!(command.starts_with("SIM_SEED=17 cargo test"), "{command}");
        assert!(
            command.contains("-- --exact sim::run::tests::a_failing_seed"),
            "{command}"
        );
    }

    #[test]
    fn the_first_failing_seed_ends_the_run() {
        let tried = std::cell::RefCell::new(Vec::new());
        let result = catch_unwind(AssertUnwindSafe(|| {
            seeds(10, |seed| {
                tried.borrow_mut().push(seed);
                assert!(seed < 3, "three");
            });
        }));
        assert!(result.is_err());
        assert_eq!(*tried.borrow(), [0, 1, 2, 3]);
    }
}
