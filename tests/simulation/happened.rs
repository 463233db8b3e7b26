//! Whether what a test is about happened at all.

/// Says how often things happened in a run over `seeds` seeds, and fails if one never did: without a compaction nothing is
/// proven about compactions. A seed that is run again, or fewer of them than usual, need not show everything.
pub(crate) fn all_happened<const N: usize>(seeds: u64, counts: [(&str, usize); N]) {
    eprintln!("{counts:?}");
    let variable = |name: &str| std::env::var(name).ok();
    let is_few = |count: String| count.parse::<u64>().is_ok_and(|count| count < seeds);
    if variable("SIM_SEED").is_some() || variable("SIM_SEEDS").is_some_and(is_few) {
        return;
    }
    for (what, count) in counts {
        assert_ne!(count, 0, "{what}: none in all seeds");
    }
}
