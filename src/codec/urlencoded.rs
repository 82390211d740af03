//! Text as encoded in queries and forms (the URL standard, "application/x-www-form-urlencoded").

/// Decodes `+` and `%XX`; anything else stays unchanged.
pub(crate) fn decode(field: &[u8]) -> Vec<u8> {
    unescape(field, b' ')
}

/// Decodes `%XX` alone, as in the rest of a URL.
#[cfg(feature = "nats")]
pub(crate) fn decode_percent(part: &[u8]) -> Vec<u8> {
    unescape(part, b'+')
}

fn unescape(field: &[u8], plus: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, behind @ ..] = rest {
        rest = behind;
        let byte = match (first, behind) {
            (b'+', _) => plus,
            (b'%', [high, low, ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = &behind[2..];
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *first,
        };
        out.push(byte);
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
