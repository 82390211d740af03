//! Random numbers that follow from a seed, so that a run can be repeated.

/// A generator of the kind `SplitMix64`: what it returns depends on its seed alone.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Creates a generator of its own for what these numbers name.
    pub(crate) fn of(names: &[u64]) -> Self {
        let mut random = Self(0);
        for name in names {
            random.0 ^= *name;
            random.0 = random.next();
        }
        random
    }

    /// Returns any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below a bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Returns true in so many of a hundred cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns a number below `1 << bits`, small ones as often as large ones.
    pub(crate) fn spread(&mut self, bits: u64) -> u64 {
        let bits = self.below(bits + 1);
        if bits == 0 { 0 } else { (1 << (bits - 1)) + self.below(1 << (bits - 1)) }
    }
}
