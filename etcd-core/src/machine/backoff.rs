//! How long to pause before another attempt.

use std::time::Duration;

/// Pauses that double from [`FLOOR`](Self::FLOOR) to [`CEILING`](Self::CEILING), each shortened at random by up
/// to half, so that clients that failed together do not come back together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    pauses: u32,
}

impl Backoff {
    /// The first pause: 25 ms, which is Go's pause between rounds (`client/v3/options.go`,
    /// `defaultBackoffWaitBetween`).
    pub const FLOOR: Duration = Duration::from_millis(25);

    /// The longest pause: 1 s, etcd's default election timeout. A cluster that just lost its leader has a new
    /// one by then. Go never pauses longer than the 25 ms, and so adds load where there is too much of it.
    pub const CEILING: Duration = Duration::from_secs(1);

    /// The next pause. `entropy` is any 64 bits; the same ones give the same pause.
    #[must_use]
    pub fn next_pause(&mut self, entropy: u64) -> Duration {
        let longest = (Self::FLOOR * 2u32.saturating_pow(self.pauses.min(16))).min(Self::CEILING);
        self.pauses = self.pauses.saturating_add(1);
        let half = longest / 2;
        let jitter = entropy % (half.as_micros() as u64 + 1);
        half + Duration::from_micros(jitter)
    }

    /// Begins with the shortest pause again.
    pub fn reset(&mut self) {
        self.pauses = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_ceiling_and_are_shortened_by_at_most_half() {
        for entropy in [0, 1, u64::MAX / 3, u64::MAX] {
            let mut backoff = Backoff::default();
            for round in 0..100 {
                let longest = Backoff::CEILING.min(Backoff::FLOOR * 2u32.pow(round.min(10)));
                let pause = backoff.next_pause(entropy);
                assert!(
                    pause >= longest / 2 && pause <= longest,
                    "round {round}: {pause:?}"
                );
            }
            backoff.reset();
            assert!(backoff.next_pause(entropy) <= Backoff::FLOOR);
        }
    }
}
