//! Compression of responses: which coding a client accepts, and when compression pays off. Does no I/O.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use crate::packet::Packet;

/// A content coding that the reference server supports too (RFC 9110, section 8.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// `gzip`.
    Gzip,
    /// `deflate`: the zlib format, despite its name.
    Deflate,
}

impl Coding {
    /// Returns the coding that a request's `Accept-Encoding` prefers, if it accepts one of ours.
    ///
    /// Ranks codings as npm's `accepts` does: by weight, then an explicit name before `*`, then by order in the header,
    /// then gzip first. `identity` is not a candidate, so a client that prefers it but accepts gzip gets gzip.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(ACCEPT_ENCODING).iter();
        let first = values.next()?;
        // The values that browsers send need no ranking.
        if USUAL.contains(&first.as_bytes()) && values.next().is_none() {
            return Some(Self::Gzip);
        }
        let mut best: Option<(Self, Rank)> = None;
        for coding in [Self::Gzip, Self::Deflate] {
            let Some(rank) = Rank::of(coding.name(), headers).filter(|rank| rank.weight > 0.0) else {
                continue;
            };
            if best.is_none_or(|(_, other)| rank.is_before(other)) {
                best = Some((coding, rank));
            }
        }
        best.map(|(coding, _)| coding)
    }

    /// Returns its name in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// Returns the body in this coding, or `None` if writing failed, which does not happen in memory.
    ///
    /// The compressor takes a quarter of a megabyte and is freed when this call returns.
    pub fn compress(self, body: &[u8]) -> Option<Bytes> {
        let room = Vec::with_capacity(body.len() / 2);
        let compressed = match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(room, LEVEL);
                encoder.write_all(body).and_then(|()| encoder.finish())
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(room, LEVEL);
                encoder.write_all(body).and_then(|()| encoder.finish())
            }
        };
        compressed.ok().map(Bytes::from)
    }
}

/// Returns whether a response with this batch is compressed for clients that accept it: only if it is long enough and
/// contains a packet that does not come from the transport alone.
pub fn is_compressible(batch: &[Packet], len: usize) -> bool {
    let from_session = |packet: &Packet| match packet {
        Packet::Open(_) | Packet::Ping(_) | Packet::Pong(_) | Packet::Message(_) => true,
        Packet::Close(_) | Packet::Upgrade | Packet::Noop => false,
    };
    len >= THRESHOLD && batch.iter().any(from_session)
}

/// What a header says about one coding.
#[derive(Clone, Copy, Debug)]
struct Rank {
    weight: f32,
    named: bool,
    position: usize,
}

impl Rank {
    /// Returns the header's member that applies: an explicit name before `*`, then the higher weight, then the later
    /// one.
    fn of(name: &str, headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let mut found: Option<Self> = None;
        for (position, member) in values.flat_map(|value| value.split(',')).enumerate() {
            let mut parts = member.split(';').map(str::trim);
            let word = parts.next().unwrap_or_default();
            let named = word.eq_ignore_ascii_case(name);
            if !named && word != "*" {
                continue;
            }
            let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
            let weight = weight.map_or(1.0, read_weight);
            let rank = Self { weight, named, position };
            if found.is_none_or(|other| (rank.named, rank.weight) >= (other.named, other.weight)) {
                found = Some(rank);
            }
        }
        found
    }

    fn is_before(self, other: Self) -> bool {
        let key = |rank: Self| (rank.weight, rank.named, std::cmp::Reverse(rank.position));
        key(self) > key(other)
    }
}

/// Reads a weight; anything that is not a number counts as 0.
fn read_weight(text: &str) -> f32 {
    text.trim().parse().ok().filter(|weight: &f32| weight.is_finite()).unwrap_or(0.0)
}

const USUAL: [&[u8]; 3] = [b"gzip, deflate, br, zstd", b"gzip, deflate, br", b"gzip, deflate"];
/// The reference server's threshold: below it, the headers of a compressed body cost more than compression saves.
const THRESHOLD: usize = 1024;
/// The default level of zlib, and so of the reference server.
const LEVEL: Compression = Compression::new(6);

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use http::HeaderValue;

    use super::*;
    use crate::packet::{Message, Text};

    #[test]
    fn what_browsers_say_is_judged_as_if_it_were_looked_at() {
        for usual in USUAL {
            let usual = std::str::from_utf8(usual).unwrap();
            assert_eq!(
                (coding(usual), coding(&format!("{usual}, x"))),
                (Some(Coding::Gzip), Some(Coding::Gzip))
            );
        }
    }

    fn coding(accepted: &str) -> Option<Coding> {
        let value = HeaderValue::from_str(accepted).unwrap();
        Coding::of(&HeaderMap::from_iter([(ACCEPT_ENCODING, value)]))
    }

    #[test]
    fn a_coding_is_chosen_as_the_reference_chooses() {
        use Coding::{Deflate, Gzip};
        // The results of npm's `accepts` for `.encodings(["gzip", "deflate"])`.
        let cases = [
            ("gzip, deflate, br, zstd", Some(Gzip)),
            ("gzip", Some(Gzip)),
            ("deflate", Some(Deflate)),
            ("deflate, gzip", Some(Deflate)),
            ("GZIP", Some(Gzip)),
            ("gzip;q=0.5, deflate", Some(Deflate)),
            ("gzip;q=0.5, deflate;q=0.6", Some(Deflate)),
            ("gzip;q=0, deflate;q=0", None),
            ("gzip;q=0", None),
            ("gzip;q=0, *", Some(Deflate)),
            ("*", Some(Gzip)),
            ("*;q=0", None),
            ("*;q=0, gzip", Some(Gzip)),
            ("*, deflate", Some(Deflate)),
            ("gzip;q=0.5, *;q=0.5", Some(Gzip)),
            ("*;q=0.5, gzip;q=0.1", Some(Deflate)),
            ("identity", None),
            ("identity, gzip;q=0.1", Some(Gzip)),
            ("identity;q=0, *;q=0", None),
            ("br", None),
            ("br, zstd", None),
            ("br, gzip;q=0.1", Some(Gzip)),
            ("x-gzip", None),
            ("", None),
            (",,", None),
            ("gzip;q=x", None),
            ("gzip x", None),
            ("gzip;level=9;q=0.3,deflate;q=0.2", Some(Gzip)),
            ("gzip; q=0.3 , deflate ; q=0.4", Some(Deflate)),
            ("gzip;q=0.001", Some(Gzip)),
            ("gzip;q=0,gzip", Some(Gzip)),
        ];
        for (accepted, expected) in cases {
            assert_eq!(coding(accepted), expected, "{accepted:?}");
        }
        assert_eq!(Coding::of(&HeaderMap::new()), None);
    }

    #[test]
    fn several_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("br"));
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("deflate"));
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(Coding::of(&headers), Some(Coding::Deflate));
    }

    #[test]
    fn only_what_the_session_sends_is_compressed_and_only_from_the_threshold() {
        let message = Packet::Message(Message::Text(Text::from("x")));
        let batches: [(&[Packet], bool); 6] = [
            (std::slice::from_ref(&message), true),
            (&[Packet::Noop, message.clone()], true),
            (&[Packet::Ping(Text::default())], true),
            (&[Packet::Noop], false),
            (&[Packet::Noop, Packet::Close(None)], false),
            (&[], false),
        ];
        for (batch, compressible) in batches {
            assert_eq!(is_compressible(batch, 1024), compressible, "{batch:?}");
            assert!(!is_compressible(batch, 1023), "{batch:?}");
        }
    }

    #[test]
    fn what_is_compressed_comes_out_again() {
        let body: Vec<u8> = (0..100_000_u32).flat_map(|number| number.to_string().into_bytes()).collect();
        for (body, shrinks) in [(&body[..], true), (&[], false)] {
            let mut gzip = Vec::new();
            let compressed = Coding::Gzip.compress(body).unwrap();
            flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut gzip).unwrap();
            assert_eq!((gzip.as_slice(), compressed.len() < body.len()), (body, shrinks));
            let mut zlib = Vec::new();
            let compressed = Coding::Deflate.compress(body).unwrap();
            flate2::read::ZlibDecoder::new(&compressed[..]).read_to_end(&mut zlib).unwrap();
            assert_eq!((zlib.as_slice(), compressed.len() < body.len()), (body, shrinks));
        }
    }
}
