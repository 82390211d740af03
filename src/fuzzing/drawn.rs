//! A script of the random tests, drawn from the fuzzer's bytes.

use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Draws a value from the fuzzer's bytes. Behind their end the smallest choices are made.
///
/// Each union (`prop_oneof`) leaves the strategy half of the bytes that are left. So a script has few of them, and none for
/// each step: its steps are made of numbers.
pub(super) fn drawn<S: Strategy>(strategy: &S, bytes: &[u8]) -> Option<S::Value> {
    // An even choice is drawn again where the number is in the incomplete part of its range; this one never is, and zero is.
    let mut numbers = bytes.to_vec();
    numbers.resize(bytes.len().next_multiple_of(4), 0);
    numbers.extend([1, 0, 0, 0].repeat(CHOICES_MAX));
    let rng = TestRng::from_seed(RngAlgorithm::PassThrough, &numbers);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
    Some(strategy.new_tree(&mut runner).ok()?.current())
}

/// More than any script has.
const CHOICES_MAX: usize = 1 << 14;
