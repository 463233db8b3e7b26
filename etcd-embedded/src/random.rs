//! Reproducible chance: everything random follows from the seed the server was created with.

use std::time::Duration;

/// SplitMix64 (Steele, Lea and Flood, 2014): small, fast, and good enough for identifiers and jitter.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which must not be zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // The bias is below one in 2^32 for every bound in use here.
        self.next_u64() % bound
    }

    /// Whether something happens that has this chance, between 0 and 1.
    pub(crate) fn chance(&mut self, chance: f64) -> bool {
        // Not a draw for what cannot happen, so that worlds without faults are not slower for them.
        chance > 0.0 && self.fraction() < chance
    }

    /// A time between two, both included.
    pub(crate) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_nanos();
        let span = u64::try_from(span).unwrap_or(u64::MAX - 1);
        least + Duration::from_nanos(self.below(span + 1))
    }

    /// One of `0..length`, which must not be empty.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// A number from 0 up to, and without, 1.
    fn fraction(&mut self) -> f64 {
        // 53 bits are what a float has.
        #[allow(clippy::cast_precision_loss)]
        let numerator = (self.next_u64() >> 11) as f64;
        numerator / 9_007_199_254_740_992.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            [random.next_u64(), random.next_u64(), random.below(10)]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
