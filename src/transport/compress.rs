//! Compressed answers: which coding a client takes, and when one is worth it. Pure.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use crate::packet::Packet;

/// A content coding that the reference server speaks too (RFC 9110, section 8.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// `gzip`.
    Gzip,
    /// `deflate`: the zlib format, whatever its name says.
    Deflate,
}

impl Coding {
    /// Returns the coding that a request's `Accept-Encoding` prefers, if it accepts one of ours.
    ///
    /// As npm's `accepts` decides: by weight, then a name before `*`, then the order of the header, then gzip first.
    /// `identity` does not stand for election, so a client that prefers it and takes gzip gets gzip.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(ACCEPT_ENCODING).iter();
        let first = values.next()?;
        // What browsers say needs no election.
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

    /// As `Content-Encoding` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// Returns the body in this coding; `None` where it could not be written, which memory never refuses.
    ///
    /// Its compressor, a quarter of a megabyte, lives only as long as this call.
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

/// Returns whether the answer with this batch is compressed for those who take it: what the application sent is, what
/// only the transport says is not.
pub fn is_worth_it(batch: &[Packet], len: usize) -> bool {
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
    /// Returns the member that counts: one that names the coding before `*`, of those the heavier, of equals the later.
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

/// Reads a weight; anything that is not a number weighs nothing.
fn read_weight(text: &str) -> f32 {
    text.trim().parse().ok().filter(|weight: &f32| weight.is_finite()).unwrap_or(0.0)
}

const USUAL: [&[u8]; 3] = [b"gzip, deflate, br, zstd", b"gzip, deflate, br", b"gzip, deflate"];
/// The reference's: below it, the headers of a compressed body outweigh what is won.
const THRESHOLD: usize = 1024;
/// The default of zlib, and so the reference's.
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
        // What npm's `accepts` answers to `.encodings(["gzip", "deflate"])`.
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
        for (batch, worth_it) in batches {
            assert_eq!(is_worth_it(batch, 1024), worth_it, "{batch:?}");
            assert!(!is_worth_it(batch, 1023), "{batch:?}");
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
