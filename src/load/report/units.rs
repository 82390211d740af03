//! Numbers as people read them.

use hdrhistogram::Histogram;

/// `12,345`.
pub(in crate::load) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1.2 kB`, in units of 1000.
pub(in crate::load) fn bytes(bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) if bytes >= 100 * unit => format!("{} {name}", count(bytes / unit)),
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

/// Returns a percentile in milliseconds, or a dash without data.
pub(in crate::load) fn latency(histogram: &Histogram<u64>, percentile: f64) -> String {
    if histogram.is_empty() {
        return NONE.to_owned();
    }
    millis(histogram.value_at_percentile(percentile))
}

/// Microseconds in milliseconds, to three digits.
pub(in crate::load) fn millis(micros: u64) -> String {
    let whole = micros / 1000;
    match whole {
        0..10 => format!("{}.{:02} ms", whole, micros % 1000 / 10),
        10..100 => format!("{}.{} ms", whole, micros % 1000 / 100),
        _ => format!("{} ms", count(whole)),
    }
}

/// Returns a figure with two decimals, or a dash without data.
pub(in crate::load) fn figure(figure: Option<f64>) -> String {
    figure.map_or_else(|| NONE.to_owned(), |figure| format!("{figure:.2}"))
}

const NONE: &str = "-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_parted() {
        let all = [0, 999, 1000, 1_234_567].map(count);
        assert_eq!(all, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn units_grow_with_the_number() {
        let all = [0, 999, 1250, 123_456, 2_500_000_000].map(bytes);
        assert_eq!(all, ["0 B", "999 B", "1.2 kB", "123 kB", "2.5 GB"]);
        let all = [9, 1234, 45_678, 1_234_567].map(millis);
        assert_eq!(all, ["0.00 ms", "1.23 ms", "45.6 ms", "1,234 ms"]);
    }
}
