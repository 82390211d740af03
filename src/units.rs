//! Durations and sizes as operators write them: `"25s"`, `"300ms"`, `"1MB"`, `"64KiB"`.
//!
//! A duration is a whole number of milliseconds, the unit of every timer and every open packet.

use std::time::Duration;

/// Why a text is not a duration or a size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UnitError {
    /// Not a number followed by a unit.
    #[error("expected {0}")]
    Malformed(&'static str),
    /// A number that the type cannot hold.
    #[error("too large")]
    TooLarge,
}

/// The form of a duration, for a fault's text.
pub const DURATION: &str = "a duration such as \"25s\" or \"300ms\"";

/// The form of a size, for a fault's text.
pub const SIZE: &str = "a size such as \"1MB\" or \"64KiB\"";

/// Parses a duration with its unit: `ms`, `s`, `m` or `h`. A fraction is accepted if it results in whole milliseconds.
///
/// A number without a unit is refused, because some read `30` as seconds and others as milliseconds. Only 0 needs none.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (amount, unit) = split(text).ok_or(UnitError::Malformed(DURATION))?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" if amount.digits == 0 => 1,
        _ => return Err(UnitError::Malformed(DURATION)),
    };
    let whole_ms = amount.times(unit_ms, DURATION)?;
    Ok(Duration::from_millis(u64::try_from(whole_ms).map_err(|_| UnitError::TooLarge)?))
}

/// Adds a unit to a number that lacks one: seconds, or milliseconds if only those fit.
pub fn with_unit(number: &str, fits: impl Fn(Duration) -> bool) -> Option<String> {
    let complete = |unit| format!("{}{unit}", number.trim());
    ["s", "ms"].map(complete).into_iter().find(|text| parse_duration(text).is_ok_and(&fits))
}

/// Parses a size: bytes, or with a unit of 1000 (`kB`, `MB`, `GB`) or of 1024 (`KiB`, `MiB`, `GiB`), in any case.
pub fn parse_size(text: &str) -> Result<usize, UnitError> {
    let (amount, unit) = split(text).ok_or(UnitError::Malformed(SIZE))?;
    let unit_bytes = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err(UnitError::Malformed(SIZE)),
    };
    usize::try_from(amount.times(unit_bytes, SIZE)?).map_err(|_| UnitError::TooLarge)
}

/// Writes a duration in the largest unit that needs no fraction.
pub fn duration_text(duration: Duration) -> String {
    let ms = duration.as_millis();
    let unit = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        .into_iter()
        .find(|(unit, _)| ms.is_multiple_of(*unit));
    match unit {
        Some(_) if ms == 0 => "0s".to_owned(),
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None => format!("{ms}ms"),
    }
}

/// Writes a size in the largest unit that needs no fraction.
pub fn size_text(bytes: usize) -> String {
    let units = [
        (1_000_000_000, "GB"),
        (1 << 30, "GiB"),
        (1_000_000, "MB"),
        (1 << 20, "MiB"),
        (1_000, "kB"),
        (1 << 10, "KiB"),
    ];
    match units.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

/// An exact decimal number: `digits` shifted right by `places`.
struct Amount {
    digits: u128,
    places: u32,
}

impl Amount {
    fn times(&self, unit: u128, expected: &'static str) -> Result<u128, UnitError> {
        let scaled = self.digits.checked_mul(unit).ok_or(UnitError::TooLarge)?;
        let divisor = 10_u128.pow(self.places);
        if scaled.is_multiple_of(divisor) {
            Ok(scaled / divisor)
        } else {
            Err(UnitError::Malformed(expected))
        }
    }
}

/// Splits a text into its number and its unit.
fn split(text: &str) -> Option<(Amount, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '_'))).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) =
        number.split_once('.').map_or((number, None), |(whole, part)| (whole, Some(part)));
    let in_order = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_digit()) && part.ends_with(|c: char| c.is_ascii_digit())
    };
    if !in_order(whole) || fraction.is_some_and(|part| !in_order(part) || part.len() > PLACES_MAX) {
        return None;
    }
    let fraction = fraction.unwrap_or_default();
    let digits: String = [whole, fraction].concat().replace('_', "");
    let places = fraction.bytes().filter(u8::is_ascii_digit).count();
    // Forty digits and more overflow; nobody means such a number.
    Some((Amount { digits: digits.parse().ok()?, places: u32::try_from(places).ok()? }, unit.trim_start()))
}

/// More decimal places than any duration or size needs.
const PLACES_MAX: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_its_unit() {
        let ms = |text| parse_duration(text).map(|duration| duration.as_millis());
        assert_eq!(ms("25s"), Ok(25_000));
        assert_eq!(ms("300ms"), Ok(300));
        assert_eq!(ms("2m"), Ok(120_000));
        assert_eq!(ms("1h"), Ok(3_600_000));
        assert_eq!(ms("1.5s"), Ok(1_500));
        assert_eq!(ms(" 1 s "), Ok(1_000));
        for zero in ["0ms", "0h", "0", " 0 "] {
            assert_eq!(ms(zero), Ok(0), "{zero:?}");
        }
        for text in
            ["", "s", "25", "25 sec", "-1s", "1.s", ".5s", "1..5s", "1_s", "_1s", "0.5ms", "1e3s", "25S", "é"]
        {
            assert_eq!(ms(text), Err(UnitError::Malformed(DURATION)), "{text:?}");
        }
    }

    #[test]
    fn a_number_without_a_unit_is_completed_by_the_one_that_fits() {
        let up_to = |ms| move |duration| duration <= Duration::from_millis(ms);
        for (number, max_ms, text) in [
            ("30", 3_600_000, Some("30s")),
            ("1.5", 3_600_000, Some("1.5s")),
            (" 30 ", 3_600_000, Some("30s")),
            ("30000", 3_600_000, Some("30000ms")),
            ("3", 1_000, Some("3ms")),
            ("99999999", 3_600_000, None),
            ("30 sec", 3_600_000, None),
            ("-1", 3_600_000, None),
            ("", 3_600_000, None),
        ] {
            assert_eq!(with_unit(number, up_to(max_ms)).as_deref(), text, "{number:?}");
        }
    }

    #[test]
    fn a_size_counts_in_thousands_or_in_1024s() {
        assert_eq!(parse_size("1MB"), Ok(1_000_000));
        assert_eq!(parse_size("64kB"), Ok(64_000));
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("1MiB"), Ok(1 << 20));
        assert_eq!(parse_size("1.5 GB"), Ok(1_500_000_000));
        assert_eq!(parse_size("1_000_000"), Ok(1_000_000));
        assert_eq!(parse_size("12B"), Ok(12));
        for text in ["", "MB", "1.5", "1 TB", "-1MB", "1M", "0.0001kB"] {
            assert_eq!(parse_size(text), Err(UnitError::Malformed(SIZE)), "{text:?}");
        }
    }

    #[test]
    fn a_number_beyond_all_bounds_is_refused_and_not_wrapped() {
        assert_eq!(parse_duration("99999999999999999999h"), Err(UnitError::TooLarge));
        assert_eq!(parse_size("99999999999999999999GiB"), Err(UnitError::TooLarge));
        assert_eq!(parse_size("340282366920938463463374607431768211455GB"), Err(UnitError::TooLarge));
        assert!(parse_size(&"9".repeat(400)).is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        for ms in [0, 1, 300, 1_500, 25_000, 75_000, 120_000, 3_600_000, 90_000_000] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&duration_text(duration)), Ok(duration));
        }
        for bytes in [0, 1, 999, 1_000, 1_024, 1_000_000, 16 << 20, 1 << 30, 3_000_000_000] {
            assert_eq!(parse_size(&size_text(bytes)), Ok(bytes));
        }
        assert_eq!(duration_text(Duration::from_secs(25)), "25s");
        assert_eq!(size_text(16 << 20), "16MiB");
    }
}
