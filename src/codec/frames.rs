//! Follows one direction of a WebSocket by its frames' headers, without touching payloads (RFC 6455, section 5.2).

use crate::frame_header::{CLOSE, CONTINUATION, FrameHeader};

/// The state of one direction of a WebSocket.
///
/// It only checks sizes: reserved bits, opcodes, masks and UTF-8 are for the two ends to check.
#[derive(Debug)]
pub struct FrameScanner {
    /// The largest message, in payload bytes on the wire.
    message_max: u64,
    /// Payload bytes of the current frame that have not come yet.
    left: u64,
    /// Whether that is a control frame.
    is_control: bool,
    /// Payload bytes of the current message, in the frames begun so far.
    message_len: u64,
    /// Whether the current message continues in another frame.
    unfinished: bool,
    /// Short fragments that have not been counted.
    short: u8,
    counted: Counted,
    closed: bool,
}

/// What has passed since the last query.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counted {
    /// Messages that are complete.
    pub messages: u64,
    /// Payload bytes of data frames.
    pub bytes: u64,
    /// Frame headers, and control frames with their content.
    pub overhead: u64,
    /// Frames that bring nothing of a message, or little: control frames, of fragments with others to follow those that are
    /// empty, and one for [so many](SHORT_COUNT) that are [short](SHORT_LEN).
    pub bare: u64,
}

/// How much of the scanned bytes may pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scan {
    /// This many bytes may pass; an incomplete header follows, of at most 13 bytes.
    Pass(usize),
    /// This many bytes may pass; a frame follows that would make its message too large.
    TooLarge(usize),
}

impl FrameScanner {
    /// Creates the state of a new direction.
    pub const fn new(message_max: u64) -> Self {
        Self {
            message_max,
            left: 0,
            is_control: false,
            message_len: 0,
            unfinished: false,
            short: 0,
            counted: NOTHING,
            closed: false,
        }
    }

    /// Applies another limit to the frames that begin from now on.
    pub const fn set_message_max(&mut self, message_max: u64) {
        self.message_max = message_max;
    }

    /// Scans the next bytes, which begin with those that the last scan did not let pass.
    pub fn scan(&mut self, bytes: &[u8]) -> Scan {
        let mut at = 0;
        loop {
            let rest = bytes.len() - at;
            let payload = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest);
            at += payload;
            self.left -= payload as u64;
            // Not before it has come: a header may claim any length.
            if self.is_control {
                self.counted.overhead += payload as u64;
            } else {
                self.counted.bytes += payload as u64;
            }
            let Some((header, header_len)) = FrameHeader::read(&bytes[at..]) else { return Scan::Pass(at) };
            // A control frame may stand between a message's fragments (RFC 6455, section 5.4), but is none of them.
            self.is_control = header.is_control();
            self.count_bare(&header);
            if self.is_control {
                self.closed |= header.opcode == CLOSE;
            } else {
                // A message that begins inside another is an error for its receiver to find.
                let before = if header.opcode == CONTINUATION { self.message_len } else { 0 };
                // A header may claim 2^64 - 1 bytes (section 5.2): a plain sum could wrap around to less than the limit.
                let message_len = before.saturating_add(header.payload_len);
                if message_len > self.message_max {
                    return Scan::TooLarge(at);
                }
                self.message_len = message_len;
                self.unfinished = !header.fin;
                self.counted.messages += u64::from(header.fin);
            }
            self.counted.overhead += header_len as u64;
            at += header_len;
            self.left = header.payload_len;
        }
    }

    /// Counts a frame that brings nothing of a message, or little.
    const fn count_bare(&mut self, header: &FrameHeader) {
        if self.is_control || header.payload_len == 0 && !header.fin {
            self.counted.bare += 1;
        } else if header.payload_len < SHORT_LEN && !header.fin {
            self.short += 1;
            if self.short == SHORT_COUNT {
                self.short = 0;
                self.counted.bare += 1;
            }
        }
    }

    /// Returns whether a control frame may be inserted here: between two frames.
    pub const fn is_between_frames(&self) -> bool {
        self.left == 0
    }

    /// Returns whether no message is incomplete.
    pub const fn is_between_messages(&self) -> bool {
        self.left == 0 && !self.unfinished
    }

    /// Returns whether a Close frame has passed: nothing may follow it.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns what has passed since the last call.
    pub const fn take_counted(&mut self) -> Counted {
        std::mem::replace(&mut self.counted, NOTHING)
    }
}

/// The beginning of a server's output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beginning<'a> {
    /// A complete text message in one frame.
    Text {
        /// The frame's payload.
        payload: &'a [u8],
        /// Whether permessage-deflate has compressed it (RFC 7692, section 6.1).
        compressed: bool,
    },
    /// The beginning of such a message.
    Partial,
    /// Anything else, or a message of more than `len_max` bytes.
    Other,
}

impl<'a> Beginning<'a> {
    /// Looks at the first bytes of an unmasked stream.
    pub fn of(bytes: &'a [u8], len_max: usize) -> Self {
        let compressed = match bytes.first() {
            None => return Self::Partial,
            // FIN and the opcode of text; the second with RSV1, which marks a compressed message.
            Some(0x81) => false,
            Some(0xc1) => true,
            Some(_) => return Self::Other,
        };
        let Some((header, header_len)) = FrameHeader::read(bytes) else { return Self::Partial };
        match usize::try_from(header.payload_len) {
            Ok(len) if len <= len_max && header.mask.is_none() => bytes[header_len..]
                .get(..len)
                .map_or(Self::Partial, |payload| Self::Text { payload, compressed }),
            _ => Self::Other,
        }
    }
}

/// A fragment with less than this is short: what divides a long message into pieces makes them as long at least.
const SHORT_LEN: u64 = 1 << 10;
/// So many short fragments count as one frame that brings nothing: a sender whose buffer is small needs a few.
const SHORT_COUNT: u8 = 16;
const NOTHING: Counted = Counted { messages: 0, bytes: 0, overhead: 0, bare: 0 };

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame_header::HEADER_LEN_MAX;

    fn frame(first: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
        let header = FrameHeader {
            fin: first & 0x80 != 0,
            reserved: first & 0x70,
            opcode: first & 0x0f,
            mask: masked.then_some([1, 2, 3, 4]),
            payload_len: payload.len() as u64,
        };
        let mut frame = Vec::new();
        header.write(&mut frame);
        frame.extend(payload);
        frame
    }

    #[test]
    fn messages_are_counted_and_control_frames_are_not() {
        let mut scanner = FrameScanner::new(1000);
        let bytes = [
            frame(0x81, true, b"one"),
            frame(0x01, true, b"two, "),
            frame(0x89, true, b"ping"),
            frame(0x80, true, b"continued"),
            frame(0x82, true, &[0; 300]),
            frame(0x01, true, b""),
            frame(0x80, true, b""),
        ]
        .concat();
        assert_eq!(scanner.scan(&bytes), Scan::Pass(bytes.len()));
        let overhead = 6 * 6 + 8 + "ping".len() as u64;
        let counted = Counted { messages: 4, bytes: 3 + 5 + 9 + 300, overhead, bare: 2 };
        assert_eq!(scanner.take_counted(), counted);
        assert_eq!(scanner.take_counted(), Counted::default());
        assert!(scanner.is_between_messages() && !scanner.is_closed());
        let close = frame(0x88, true, b"");
        assert_eq!(scanner.scan(&close), Scan::Pass(close.len()));
        assert!(scanner.is_closed());
    }

    #[test]
    fn of_short_fragments_each_sixteenth_counts_whatever_message_it_belongs_to() {
        let bare = |fragments: &[(bool, usize)]| {
            let mut scanner = FrameScanner::new(u64::MAX);
            let bytes = fragments
                .iter()
                .flat_map(|(fin, len)| frame(if *fin { 0x80 } else { 0x00 }, true, &vec![b'x'; *len]));
            let bytes = bytes.collect::<Vec<_>>();
            // However few come at once, each is counted.
            bytes
                .chunks(1000)
                .fold((0, Vec::new()), |(bare, mut held), piece| {
                    held.extend(piece);
                    let Scan::Pass(pass) = scanner.scan(&held) else { panic!() };
                    held.drain(..pass);
                    (bare + scanner.take_counted().bare, held)
                })
                .0
        };
        assert_eq!(bare(&[(false, 1); 160]), 10);
        assert_eq!(bare(&[(false, 1023); 160]), 10);
        assert_eq!(bare(&[(false, 1); 15]), 0);
        assert_eq!(bare(&[(false, 1), (true, 1)].repeat(32)), 2);
        assert_eq!(bare(&[(false, 1024); 160]), 0);
        assert_eq!(bare(&[(true, 1); 160]), 0);
        assert_eq!(bare(&[(false, 0); 16]), 16);
    }

    #[test]
    fn a_message_that_grows_too_large_is_stopped_before_the_frame_that_makes_it_so() {
        let mut scanner = FrameScanner::new(10);
        let first = frame(0x01, false, &[b'x'; 6]);
        let bytes = [first.clone(), frame(0x80, false, &[b'x'; 5])].concat();
        assert_eq!(scanner.scan(&bytes), Scan::TooLarge(first.len()));
        assert!(scanner.is_between_frames() && !scanner.is_between_messages());
        let huge = [0x82, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(FrameScanner::new(10).scan(&huge), Scan::TooLarge(0));
        let exact = frame(0x81, false, &[b'x'; 10]);
        assert_eq!(FrameScanner::new(10).scan(&exact), Scan::Pass(exact.len()));
    }

    #[test]
    fn what_a_header_claims_is_counted_when_it_has_come() {
        let huge = |first| [&[first, 0x7f][..], &[0xff; 8], b"four"].concat();
        let fragments = [frame(0x01, false, b"first"), huge(0x80)].concat();
        for (frames, bytes, overhead) in
            [(huge(0x89), 0, 10 + 4), (huge(0x82), 4, 10), (fragments, 5 + 4, 2 + 10)]
        {
            let mut scanner = FrameScanner::new(u64::MAX);
            assert_eq!(scanner.scan(&frames), Scan::Pass(frames.len()));
            let counted = scanner.take_counted();
            assert_eq!((counted.bytes, counted.overhead), (bytes, overhead));
        }
    }

    #[test]
    fn a_whole_first_text_is_read_and_nothing_else() {
        let text = |payload, compressed| Beginning::Text { payload, compressed };
        assert_eq!(Beginning::of(&frame(0x81, false, b"0{}"), 200), text(b"0{}", false));
        assert_eq!(Beginning::of(&frame(0xc1, false, b"0{}"), 200), text(b"0{}", true));
        assert_eq!(Beginning::of(&frame(0x81, false, &[b'x'; 200]), 200), text(&[b'x'; 200], false));
        let other = [
            ("too long", frame(0x81, false, &[b'x'; 201])),
            ("masked", frame(0x81, true, b"0{}")),
            ("binary", frame(0x82, false, b"0{}")),
            ("a fragment", frame(0x01, false, b"0{}")),
        ];
        for (why, bytes) in other {
            assert_eq!(Beginning::of(&bytes, 200), Beginning::Other, "{why}");
        }
        for len in 0..202 {
            assert_eq!(
                Beginning::of(&frame(0x81, false, &[b'x'; 200])[..len], 200),
                Beginning::Partial,
                "{len}"
            );
        }
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_same_passes(
            sizes in prop::collection::vec((0..3u8, 0..70_000usize, any::<bool>()), 1..6),
            cuts in prop::collection::vec(1..5000usize, 1..200),
        ) {
            let frames: Vec<Vec<u8>> = sizes
                .iter()
                .map(|(kind, len, masked)| match kind {
                    0 => frame(0x81, *masked, &vec![b'x'; *len]),
                    1 => frame(0x82, *masked, &vec![0; len % 130]),
                    _ => frame(0x89, *masked, &vec![0; len % 126]),
                })
                .collect();
            let bytes = frames.concat();
            let messages = sizes.iter().filter(|(kind, ..)| *kind < 2).count() as u64;
            let mut scanner = FrameScanner::new(1 << 20);
            let (mut passed, mut seen, mut cuts) = (0, 0, cuts.into_iter().cycle());
            while seen < bytes.len() {
                seen = (seen + cuts.next().unwrap()).min(bytes.len());
                let Scan::Pass(pass) = scanner.scan(&bytes[passed..seen]) else { panic!() };
                passed += pass;
                prop_assert!(seen - passed < HEADER_LEN_MAX);
            }
            prop_assert_eq!(passed, bytes.len());
            prop_assert_eq!(scanner.take_counted().messages, messages);
            prop_assert!(scanner.is_between_messages());
        }

        #[test]
        fn no_bytes_make_the_scanner_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let mut scanner = FrameScanner::new(100);
            let mut held = Vec::new();
            for chunk in chunks {
                held.extend(chunk);
                match scanner.scan(&held) {
                    Scan::Pass(pass) => { held.drain(..pass); }
                    Scan::TooLarge(_) => break,
                }
            }
        }
    }
}
