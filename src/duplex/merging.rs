//! Joins short frames of HTTP/2 before hyper reads them.
//!
//! A client may send each message of a WebSocket in a DATA frame of its own; Firefox does. Below hyper, some 2,000 short
//! frames that nobody has read yet count as an attack, which ends the connection with all of its streams: a burst of
//! messages is enough, as its reader is another task. The data of a stream is the same however it is divided into
//! frames (RFC 9113, section 6.1), so the frames of one read become one, in place.

/// Joins the DATA frames of a connection that a client sends.
#[derive(Debug)]
pub(super) struct Merging {
    /// How much comes before the next header: of the preface, or of a payload.
    rest: usize,
    /// The begin of a header that came in two reads.
    header: [u8; HEADER_LEN],
    header_len: usize,
    place: Place,
    /// How often something was whole that must come whole.
    wholes: u32,
    /// How many bytes of bodies have come since that was asked.
    data_len: usize,
}

/// What the last frame belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// The preface, behind which SETTINGS come.
    Preface,
    /// A header section that goes on in the next frame.
    Section,
    /// Data, which may come bit by bit.
    Data,
    /// A frame that must come whole.
    Other,
}

impl Merging {
    /// Creates one for a connection that begins.
    pub(super) const fn new() -> Self {
        Self {
            rest: PREFACE_LEN,
            header: [0; HEADER_LEN],
            header_len: 0,
            place: Place::Preface,
            wholes: 0,
            data_len: 0,
        }
    }

    /// Returns whether something has begun that must come whole: the preface with the first SETTINGS, a header section, or a
    /// frame of another kind than DATA.
    pub(super) const fn has_begun(&self) -> bool {
        match self.place {
            Place::Preface | Place::Section => true,
            Place::Data => self.header_len > 0,
            Place::Other => self.header_len > 0 || self.rest > 0,
        }
    }

    /// Returns how often that was whole; the count wraps around.
    pub(super) const fn wholes(&self) -> u32 {
        self.wholes
    }

    /// Returns how many bytes of bodies have come since the last call.
    pub(super) fn take_data_len(&mut self) -> usize {
        std::mem::take(&mut self.data_len)
    }

    /// Notes the header of the next frame.
    fn begin(&mut self, header: &[u8]) {
        self.rest = payload_len(header);
        let is_open = matches!(header[KIND], HEADERS | CONTINUATION) && header[FLAGS] & END_HEADERS == 0;
        let was_open = matches!(self.place, Place::Section);
        self.place = match header[KIND] {
            DATA => Place::Data,
            _ if is_open => Place::Section,
            _ => Place::Other,
        };
        if !was_open {
            self.wholes = self.wholes.wrapping_add(1);
        }
    }

    /// Joins frames in the next bytes of the connection. Returns how many bytes are left, at their front.
    pub(super) fn merge(&mut self, read: &mut [u8]) -> usize {
        let (mut from, mut to) = (0, 0);
        // The header of the frame that the next may be joined to.
        let mut open = None;
        loop {
            let len = self.rest.min(read.len() - from);
            keep(read, &mut from, &mut to, len);
            self.rest -= len;
            if self.place == Place::Data {
                self.data_len += len;
            }
            let left = read.len() - from;
            if left == 0 {
                return to;
            }
            if self.header_len > 0 || left < HEADER_LEN {
                // Its first bytes are passed on already, or now: it stays what it is.
                let len = left.min(HEADER_LEN - self.header_len);
                self.header[self.header_len..][..len].copy_from_slice(&read[from..][..len]);
                keep(read, &mut from, &mut to, len);
                self.header_len += len;
                open = None;
                if self.header_len == HEADER_LEN {
                    let header = self.header;
                    self.begin(&header);
                    self.header_len = 0;
                }
                continue;
            }
            let header = &read[from..][..HEADER_LEN];
            self.begin(header);
            let flags = header[FLAGS];
            if let Some(at) = open.filter(|&at| is_joined(&read[at..][..HEADER_LEN], header)) {
                let len = payload_len(&read[at..]) + self.rest;
                read[at..][..LENGTH_LEN]
                    .copy_from_slice(&len.to_be_bytes()[size_of::<usize>() - LENGTH_LEN..]);
                read[at + FLAGS] = flags;
                from += HEADER_LEN;
            } else {
                open = Some(to);
                keep(read, &mut from, &mut to, HEADER_LEN);
            }
        }
    }
}

/// Moves so many bytes to the end of those that are left.
fn keep(read: &mut [u8], from: &mut usize, to: &mut usize, len: usize) {
    if from != to {
        read.copy_within(*from..*from + len, *to);
    }
    (*from, *to) = (*from + len, *to + len);
}

/// Returns whether a frame continues the data of the one before.
fn is_joined(before: &[u8], next: &[u8]) -> bool {
    before[KIND] == DATA
        && next[KIND] == DATA
        && before[FLAGS] == 0
        && matches!(next[FLAGS], 0 | END_STREAM)
        && before[STREAM..] == next[STREAM..]
        && payload_len(before) + payload_len(next) <= PAYLOAD_MAX
}

pub(super) fn payload_len(header: &[u8]) -> usize {
    header[..LENGTH_LEN].iter().fold(0, |len, &byte| len << 8 | usize::from(byte))
}

/// `PRI * HTTP/2.0`, with which a client begins (RFC 9113, section 3.4).
const PREFACE_LEN: usize = 24;
/// Of a frame (RFC 9113, section 4.1): length, type, flags, stream.
pub(super) const HEADER_LEN: usize = 9;
const LENGTH_LEN: usize = 3;
pub(super) const KIND: usize = 3;
pub(super) const FLAGS: usize = 4;
const STREAM: usize = 5;
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;
/// What a frame may have as long as hyper allows no more.
const PAYLOAD_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OTHER: u8 = 1;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&len[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
    }

    /// Returns what is left of a connection that comes in reads of these lengths, without its preface.
    fn merged(frames: &[u8], reads: impl IntoIterator<Item = usize>) -> Vec<u8> {
        let (mut merging, mut left) = (Merging::new(), Vec::new());
        let mut all = [&[b'P'; PREFACE_LEN][..], frames].concat();
        let (mut rest, mut reads) = (&mut all[..], reads.into_iter());
        while !rest.is_empty() {
            let len = reads.next().unwrap_or(usize::MAX).clamp(1, rest.len());
            let (read, after) = rest.split_at_mut(len);
            let kept = merging.merge(read);
            assert!(kept > 0, "it looks like the end of the connection");
            left.extend_from_slice(&read[..kept]);
            rest = after;
        }
        left.split_off(PREFACE_LEN)
    }

    #[test]
    fn the_frames_of_a_burst_become_one() {
        let burst: Vec<u8> = (0..100).flat_map(|byte| frame(DATA, 0, 1, &[byte; 2])).collect();
        let payload: Vec<u8> = (0..100).flat_map(|byte| [byte; 2]).collect();
        assert_eq!(merged(&burst, []), frame(DATA, 0, 1, &payload));
        let ended = [burst, frame(DATA, END_STREAM, 1, b""), frame(DATA, 0, 1, b"late")].concat();
        let expected = [frame(DATA, END_STREAM, 1, &payload), frame(DATA, 0, 1, b"late")].concat();
        assert_eq!(merged(&ended, []), expected);
    }

    #[test]
    fn the_data_of_all_streams_are_counted() {
        let frames = [
            frame(DATA, 0, 1, b"one"),
            frame(OTHER, 0, 3, b"headers"),
            frame(DATA, 0, 3, b"three"),
            frame(DATA, 0, 3, b"more"),
        ];
        let all = [&[b'P'; PREFACE_LEN][..], &frames.concat()].concat();
        for len in 1..all.len() {
            let mut merging = Merging::new();
            all.clone().chunks_mut(len).for_each(|read| assert!(merging.merge(read) > 0));
            assert_eq!((merging.take_data_len(), merging.take_data_len()), (12, 0), "by {len}");
        }
    }

    #[test]
    fn what_is_no_plain_data_of_the_same_stream_stays() {
        let before = frame(DATA, 0, 1, b"before");
        for next in [
            frame(DATA, 0, 3, b"another stream"),
            frame(DATA, 8, 1, b"\x01padded\x00"),
            frame(OTHER, 0, 1, b"headers"),
            frame(DATA, 0, 1, &[0; PAYLOAD_MAX - 5]),
            frame(OTHER, 0, 0, b""),
        ] {
            let frames = [before.clone(), next, before.clone()].concat();
            assert_eq!(merged(&frames, []), frames);
        }
    }

    /// Returns each stream's data, and everything else between it.
    fn told(mut frames: &[u8]) -> Vec<(u8, u8, u8, Vec<u8>)> {
        let mut told: Vec<(u8, u8, u8, Vec<u8>)> = Vec::new();
        while !frames.is_empty() {
            let (kind, flags, stream) = (frames[KIND], frames[FLAGS], frames[STREAM + 3]);
            let (payload, rest) = frames[HEADER_LEN..].split_at(payload_len(frames));
            assert!(payload.len() <= PAYLOAD_MAX);
            match told.last_mut() {
                Some((DATA, last @ 0, same, data))
                    if kind == DATA && flags <= END_STREAM && *same == stream =>
                {
                    *last = flags;
                    data.extend_from_slice(payload);
                }
                _ => told.push((kind, flags, stream, payload.to_vec())),
            }
            frames = rest;
        }
        told
    }

    proptest! {
        #[test]
        fn however_frames_come_they_tell_the_same(
            frames in prop::collection::vec((0..=OTHER, prop::sample::select(vec![0, 0, 0, 1, 8]), 1..3_u8, 0..40_usize), 0..60),
            reads in prop::collection::vec(1..60_usize, 0..60),
        ) {
            let frames: Vec<u8> = frames
                .into_iter()
                .enumerate()
                .flat_map(|(at, (kind, flags, stream, len))| frame(kind, flags, stream, &vec![u8::try_from(at).unwrap(); len]))
                .collect();
            let left = merged(&frames, reads);
            prop_assert!(left.len() <= frames.len());
            prop_assert_eq!(told(&left), told(&frames));
        }
    }
}
