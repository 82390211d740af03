//! The forms of a line. Whatever a client has chosen is escaped, so that nobody writes a line, or a field, of their own.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

/// The form of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Names and values.
    Text,
    /// A JSON object.
    Json,
    /// The combined log format of Apache's and nginx's logs.
    Combined,
}

/// A line before it has a form.
pub(super) trait Line {
    /// Returns what it is about.
    fn kind(&self) -> &'static str;

    /// Returns the address of the client.
    fn client(&self) -> Option<IpAddr>;

    /// Gives each of the other fields, in order.
    fn fields(&self, put: &mut dyn FnMut(&'static str, Value<'_>));

    /// Returns what the combined log format has of it.
    fn combined(&self) -> Combined;

    /// Writes it, with its line feed.
    fn write(&self, format: Format, now: SystemTime, out: &mut Vec<u8>) {
        let mut text = String::with_capacity(256);
        let time = Time::of(now);
        match format {
            Format::Text => {
                let _ = write!(text, "{} {}", time.iso(), self.kind());
                let mut put = |name: &str, value: Value<'_>| {
                    let _ = write!(text, " {name}=");
                    value.write_bare(&mut text);
                };
                if let Some(client) = self.client() {
                    put("client", Value::Text(&client.to_string()));
                }
                self.fields(&mut put);
            }
            Format::Json => {
                let _ = write!(text, "{{\"time\":\"{}\",\"kind\":\"{}\"", time.iso(), self.kind());
                let mut put = |name: &str, value: Value<'_>| {
                    let _ = write!(text, ",\"{name}\":");
                    value.write_json(&mut text);
                };
                if let Some(client) = self.client() {
                    put("client", Value::Text(&client.to_string()));
                }
                self.fields(&mut put);
                text.push('}');
            }
            Format::Combined => {
                let Combined { request, status, bytes, agent } = self.combined();
                let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
                let client = or_dash(self.client().map(|client| client.to_string()));
                let status = or_dash(status.map(|status| status.to_string()));
                let _ = write!(text, "{client} - - [{}] \"", time.common());
                escape(&request, Escapes::Hex, &mut text);
                // Another page's address may have a query.
                let _ = write!(text, "\" {status} {bytes} \"-\" \"");
                escape(if agent.is_empty() { "-" } else { &agent }, Escapes::Hex, &mut text);
                text.push('"');
            }
        }
        text.push('\n');
        out.extend_from_slice(text.as_bytes());
    }
}

/// What the combined log format has besides the client and the time.
#[derive(Debug)]
pub(super) struct Combined {
    pub(super) request: String,
    pub(super) status: Option<u16>,
    pub(super) bytes: u64,
    pub(super) agent: String,
}

/// The value of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'v> {
    Text(&'v str),
    Number(u64),
    /// To the millisecond.
    Seconds(Duration),
}

impl Value<'_> {
    fn write_bare(self, out: &mut String) {
        match self {
            Self::Text(text) => {
                let is_bare = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'=');
                if !text.is_empty() && text.bytes().all(is_bare) {
                    out.push_str(text);
                } else {
                    out.push('"');
                    escape(text, Escapes::Hex, out);
                    out.push('"');
                }
            }
            Self::Number(_) | Self::Seconds(_) => self.write_json(out),
        }
    }

    fn write_json(self, out: &mut String) {
        let _ = match self {
            Self::Text(text) => {
                out.push('"');
                escape(text, Escapes::Json, out);
                out.push('"');
                Ok(())
            }
            Self::Number(number) => write!(out, "{number}"),
            Self::Seconds(span) => write!(out, "{:.3}", span.as_secs_f64()),
        };
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Escapes {
    /// `\xNN` for each byte, as nginx does.
    Hex,
    /// `\uNNNN` for each unit of UTF-16.
    Json,
}

/// Writes a text with everything escaped that could end its line or its quotes, or that is not of ASCII.
fn escape(text: &str, escapes: Escapes, out: &mut String) {
    for char in text.chars() {
        let _ = match (char, escapes) {
            ('"' | '\\', _) => write!(out, "\\{char}"),
            (' '..='~', _) => write!(out, "{char}"),
            (_, Escapes::Hex) => {
                char.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| write!(out, "\\x{byte:02x}"))
            }
            (_, Escapes::Json) => {
                char.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))
            }
        };
    }
}

/// A time of the calendar, in UTC.
struct Time(OffsetDateTime);

impl Time {
    fn of(now: SystemTime) -> Self {
        Self(now.into())
    }

    /// As RFC 3339 has it.
    fn iso(&self) -> String {
        let (year, month, day) = self.0.to_calendar_date();
        let (month, millisecond) = (u8::from(month), self.0.millisecond());
        format!("{year}-{month:02}-{day:02}T{}.{millisecond:03}Z", self.clock())
    }

    /// As the common log format has it.
    fn common(&self) -> String {
        let (year, month, day) = self.0.to_calendar_date();
        let month = month.to_string();
        format!("{day:02}/{}/{year}:{} +0000", &month[..3], self.clock())
    }

    fn clock(&self) -> String {
        let (hour, minute, second) = self.0.to_hms();
        format!("{hour:02}:{minute:02}:{second:02}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    #[test]
    fn a_time_is_that_of_the_calendar() {
        for (seconds, iso, common) in [
            (0, "1970-01-01T00:00:00.250Z", "01/Jan/1970:00:00:00 +0000"),
            (951_782_400 + 86_399, "2000-02-29T23:59:59.250Z", "29/Feb/2000:23:59:59 +0000"),
            (951_868_800, "2000-03-01T00:00:00.250Z", "01/Mar/2000:00:00:00 +0000"),
            (1_796_000_000, "2026-11-30T00:53:20.250Z", "30/Nov/2026:00:53:20 +0000"),
        ] {
            let time = Time::of(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(250));
            assert_eq!((time.iso().as_str(), time.common().as_str()), (iso, common));
        }
        for day in 0..60_000 {
            let now = UNIX_EPOCH + Duration::from_secs(day * DAY);
            let [_, rest @ ..] = httpdate_parts(now);
            assert_eq!(Time::of(now).common()[..11].split('/').collect::<Vec<_>>(), rest, "{day}");
        }
    }

    /// Returns the weekday, day, month and year by another implementation.
    fn httpdate_parts(now: SystemTime) -> [String; 4] {
        let date = httpdate::fmt_http_date(now);
        let mut words = date.split(' ').map(str::to_owned);
        std::array::from_fn(|_| words.next().unwrap())
    }

    #[test]
    fn nothing_that_is_escaped_ends_its_line_or_its_quotes() {
        let evil = "a\"b\\c\nd\re\u{7f}\u{85}é\u{2028}\u{1f600}\0";
        let mut hex = String::new();
        escape(evil, Escapes::Hex, &mut hex);
        assert_eq!(
            hex,
            "a\\\"b\\\\c\\x0ad\\x0de\\x7f\\xc2\\x85\\xc3\\xa9\\xe2\\x80\\xa8\\xf0\\x9f\\x98\\x80\\x00"
        );
        let mut json = String::new();
        Value::Text(evil).write_json(&mut json);
        assert!(json.is_ascii() && !json.bytes().any(|byte| byte.is_ascii_control()));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), evil);
        let mut bare = String::new();
        Value::Text("/a b=c").write_bare(&mut bare);
        assert_eq!(bare, "\"/a b=c\"");
    }
}
