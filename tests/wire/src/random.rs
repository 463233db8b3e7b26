//! Chance that is the same everywhere.

/// A small generator with a seed: xorshift64* (Marsaglia 2003, Vigna 2016).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator of this seed.
    ///
    /// # Panics
    ///
    /// If the seed is 0, from which only zeros come.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        assert_ne!(seed, 0, "xorshift does not leave zero");
        Self(seed)
    }

    /// A number below `limit`, which is not 0 and has at most 31 bits.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).expect("31 bits fit") % limit
    }

    /// Cuts `body` into pieces of up to `largest` bytes, an empty one now and then.
    pub fn pieces<'a>(&mut self, mut body: &'a [u8], largest: usize) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !body.is_empty() {
            let (piece, others) = body.split_at(self.below(largest + 1).min(body.len()));
            pieces.push(piece);
            body = others;
        }
        pieces
    }
}
