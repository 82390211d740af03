//! The trace that a request is part of, as `traceparent` has it (W3C Trace Context).

use std::fmt;

/// A trace, and the span in it that a request comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceContext {
    /// The trace's id, which is not 0.
    pub trace: u128,
    /// The span's id, which is not 0.
    pub span: u64,
    /// Whether its spans are recorded.
    pub is_sampled: bool,
}

impl TraceContext {
    /// Reads the value of `traceparent`; `None` if it is invalid, and a new trace begins. A version that is not known yet
    /// may have more behind what is read.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, more) = value.split_at_checked(LEN)?;
        let fields: Vec<&[u8]> = known.split(|byte| *byte == b'-').collect();
        let [version, trace, span, flags] = fields[..] else { return None };
        let (version, flags) = (hex(version, 2)?, hex(flags, 2)?);
        let is_whole = if version == 0 { more.is_empty() } else { matches!(more, [] | [b'-', ..]) };
        let (trace, span) = (hex(trace, 32)?, u64::try_from(hex(span, 16)?).ok()?);
        let is_valid = version != 0xff && is_whole && trace != 0 && span != 0;
        is_valid.then_some(Self { trace, span, is_sampled: flags & SAMPLED != 0 })
    }
}

/// As the value of `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.is_sampled))
    }
}

/// Reads this many digits, of which none is a capital.
fn hex(digits: &[u8], len: usize) -> Option<u128> {
    let is_fine =
        digits.len() == len && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_fine)?;
    u128::from_str_radix(digits, 16).ok()
}

/// The length of version 0.
const LEN: usize = 55;
const SAMPLED: u128 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_value_is_read_and_written_unchanged() {
        let read = TraceContext::parse(VALUE.as_bytes()).unwrap();
        assert_eq!((read.span, read.is_sampled), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(read.to_string(), VALUE);
        let zero = TraceContext { trace: 1, span: 2, is_sampled: false };
        assert_eq!(zero.to_string(), "00-00000000000000000000000000000001-0000000000000002-00");
        assert_eq!(TraceContext::parse(zero.to_string().as_bytes()), Some(zero));
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later =
            |end: &str| TraceContext::parse(VALUE.replacen("00", "cc", 1).replace("-01", end).as_bytes());
        assert_eq!(later("-01-what-comes-later"), TraceContext::parse(VALUE.as_bytes()));
        assert!(later("-09").is_some_and(|read| read.is_sampled), "other flags are not known");
        assert!(later("-02").is_some_and(|read| !read.is_sampled));
        assert_eq!(later("-01.what"), None);
    }

    #[test]
    fn an_invalid_value_is_none() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        for value in [
            String::new(),
            "00".into(),
            format!("{VALUE}-"),
            format!("{VALUE}-00"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{span}-{trace}-01"),
            format!("00-{trace}-{span}-0g"),
            format!("00-{trace}-{span}--1"),
            format!("00_{trace}_{span}_01"),
            VALUE.replace("4bf9", "\u{e9}b9"),
        ] {
            assert_eq!(TraceContext::parse(value.as_bytes()), None, "{value}");
        }
    }
}
