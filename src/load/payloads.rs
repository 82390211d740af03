//! The application's messages: numbered messages that are echoed, or Socket.IO events that are acknowledged. Pure.

use std::io::Write as _;
use std::ops::Range;
use std::sync::LazyLock;

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::packet::{Message, Packet, Text};

/// The format of a session's messages.
#[derive(Clone, Debug)]
pub(super) struct Payloads {
    language: Language,
    size: usize,
    /// Where messages are written; a message is a slice of it.
    buffer: BytesMut,
}

/// The format that the application understands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Language {
    /// Every message is echoed unchanged: `7:xxxx`.
    Echo,
    /// Socket.IO events of one argument, each acknowledged with it; the number is the acknowledgement's.
    SocketIo {
        /// Whether the client asks for the namespace, as it does since Socket.IO 3.
        asks: bool,
    },
}

/// What a message of the server is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// The application listens.
    Greeting,
    /// It refuses to.
    Refusal,
    /// The answer to a message.
    Answer(u64),
    /// Anything else.
    Unexpected,
}

impl Payloads {
    /// Creates messages of `size` bytes, or slightly longer if the number needs it.
    pub(super) fn new(language: Language, size: usize) -> Self {
        Self { language, size, buffer: BytesMut::new() }
    }

    /// Returns the maximum length of a message.
    pub(super) fn len(&self) -> usize {
        match self.language {
            Language::Echo => self.size.max(NUMBER_LEN_MAX + 1),
            Language::SocketIo { .. } => self.size + NUMBER_LEN_MAX + EVENT.len() + 4,
        }
    }

    /// Returns the packet that a client must send first.
    pub(super) fn greeting(&self) -> Option<Packet> {
        (self.language == Language::SocketIo { asks: true }).then(|| packet(Text::from_static("0")))
    }

    /// Returns whether the application sends a greeting.
    pub(super) fn wait_for_greeting(&self) -> bool {
        self.language != Language::Echo
    }

    /// Returns the last packets of a client.
    pub(super) fn goodbye(&self) -> impl Iterator<Item = Packet> {
        let leave = (self.language != Language::Echo).then(|| packet(Text::from_static("1")));
        leave.into_iter().chain([Packet::Close(None)])
    }

    /// Appends the messages of these numbers.
    pub(super) fn write(&mut self, numbers: Range<u64>, packets: &mut Vec<Packet>) {
        self.buffer.reserve(usize::try_from(numbers.end - numbers.start).unwrap_or(0) * self.len());
        for number in numbers {
            let mut writer = (&mut self.buffer).writer();
            // Writing to a buffer that grows can't fail.
            let _ = match self.language {
                Language::Echo => write!(writer, "{number}:"),
                Language::SocketIo { .. } => write!(writer, "2{number}{EVENT}"),
            };
            match self.language {
                Language::Echo => {
                    let len = self.size.saturating_sub(self.buffer.len());
                    self.pad(number, len);
                }
                Language::SocketIo { .. } => {
                    self.pad(number, self.size);
                    self.buffer.put_slice(END);
                }
            }
            packets.push(packet(Text::from_checked(self.buffer.split().freeze())));
        }
    }

    /// Reads a message of the server's.
    pub(super) fn read(&self, message: &Message) -> Meaning {
        let Message::Text(text) = message else { return Meaning::Unexpected };
        match self.language {
            Language::Echo => self.read_echo(text.as_bytes()),
            Language::SocketIo { .. } => self.read_socket_io(text.as_bytes()),
        }
    }

    fn read_echo(&self, text: &Bytes) -> Meaning {
        let Some((number, [b':', rest @ ..])) = number(text) else { return Meaning::Unexpected };
        let len = self.size.saturating_sub(text.len() - rest.len());
        if is_padding(number, len, rest) { Meaning::Answer(number) } else { Meaning::Unexpected }
    }

    fn read_socket_io(&self, text: &Bytes) -> Meaning {
        match text.split_first() {
            Some((b'0', _)) => Meaning::Greeting,
            Some((b'1' | b'4', _)) => Meaning::Refusal,
            Some((b'3', rest)) => match number(rest) {
                Some((number, [b'[', b'"', rest @ .., b'"', b']']))
                    if is_padding(number, self.size, rest) =>
                {
                    Meaning::Answer(number)
                }
                _ => Meaning::Unexpected,
            },
            _ => Meaning::Unexpected,
        }
    }

    fn pad(&mut self, number: u64, len: usize) {
        for piece in padding(number, len) {
            self.buffer.put_slice(piece);
        }
    }
}

/// Returns what fills the message of this number: letters that hardly compress, and other ones than its neighbours'.
fn padding(number: u64, len: usize) -> impl Iterator<Item = &'static [u8]> {
    let letters = LETTERS.as_slice();
    // A prime step, so that neighbours begin far apart and all places are used.
    let mut at = usize::try_from(number % LETTERS_LEN as u64 * STEP % LETTERS_LEN as u64).unwrap_or(0);
    let mut left = len;
    std::iter::from_fn(move || {
        let piece = &letters[at..letters.len().min(at + left)];
        left -= piece.len();
        at = 0;
        (!piece.is_empty()).then_some(piece)
    })
}

fn is_padding(number: u64, len: usize, text: &[u8]) -> bool {
    let mut rest = Some(text);
    for piece in padding(number, len) {
        rest = rest.and_then(|rest| rest.strip_prefix(piece));
    }
    rest == Some(&[])
}

/// Random to a compressor, the same in every run.
static LETTERS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = SEED;
    let letter = |_| {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ALPHABET[(state >> 58) as usize]
    };
    (0..LETTERS_LEN).map(letter).collect()
});

/// Returns the digits at the beginning of a text, and the rest of the text.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let len = text.iter().take(NUMBER_LEN_MAX).take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(len);
    // More than one digit can't begin with 0: that would not be what was sent.
    if len == 0 || (len > 1 && digits[0] == b'0') {
        return None;
    }
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

fn packet(text: Text) -> Packet {
    Packet::Message(Message::Text(text))
}

/// The demo backend's event, which it acknowledges with the event's argument.
const EVENT: &str = "[\"echo\",\"";
const END: &[u8] = b"\"]";
/// Characters that need no escape in JSON.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Twice as far as a compressor looks back.
const LETTERS_LEN: usize = 64 << 10;
const STEP: u64 = 40_503;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
/// Digits of the largest number.
const NUMBER_LEN_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKET_IO: Language = Language::SocketIo { asks: true };

    fn write(language: Language, size: usize, numbers: Range<u64>) -> Vec<String> {
        let (mut payloads, mut packets) = (Payloads::new(language, size), Vec::new());
        payloads.write(numbers, &mut packets);
        packets.iter().map(text_of).collect()
    }

    fn text_of(packet: &Packet) -> String {
        let Packet::Message(Message::Text(text)) = packet else { panic!("{packet:?}") };
        text.as_str().to_owned()
    }

    fn read(language: Language, size: usize, text: &str) -> Meaning {
        Payloads::new(language, size).read(&Message::text(text))
    }

    #[test]
    fn a_message_begins_with_its_number_and_has_its_size() {
        let echo = write(Language::Echo, 6, 9..11);
        assert!(echo[0].starts_with("9:") && echo[1].starts_with("10:"), "{echo:?}");
        assert_eq!(echo.iter().map(String::len).collect::<Vec<_>>(), [6, 6]);
        assert_eq!(write(Language::Echo, 0, 0..1), ["0:"]);
        let event = &write(SOCKET_IO, 3, 10..11)[0];
        assert!(event.starts_with("210[\"echo\",\"") && event.ends_with("\"]"), "{event}");
        assert_eq!(event.len(), "210[\"echo\",\"xxx\"]".len());
    }

    #[test]
    fn a_message_hardly_compresses_and_is_not_its_neighbours() {
        let all = write(Language::Echo, 100_000, 0..2);
        assert_ne!(all[0][2..], all[1][2..]);
        let mut packed = flate2::read::ZlibEncoder::new(all[0].as_bytes(), flate2::Compression::default());
        let len = std::io::copy(&mut packed, &mut std::io::sink()).unwrap();
        assert!(len > 60_000, "{len}");
    }

    #[test]
    fn none_is_longer_than_was_said() {
        for (language, size) in [(Language::Echo, 0), (Language::Echo, 64), (SOCKET_IO, 0), (SOCKET_IO, 64)] {
            let longest = &write(language, size, u64::MAX - 1..u64::MAX)[0];
            assert!(longest.len() <= Payloads::new(language, size).len(), "{longest}");
        }
    }

    /// Returns what a server makes of message 10.
    fn echoed(language: Language, size: usize) -> String {
        let message = &write(language, size, 10..11)[0];
        match language {
            Language::Echo => message.clone(),
            Language::SocketIo { .. } => message.replacen('2', "3", 1).replace("\"echo\",", ""),
        }
    }

    #[test]
    fn an_answer_is_known_by_its_number() {
        for language in [Language::Echo, SOCKET_IO] {
            for size in [0, 6, 100_000] {
                assert_eq!(read(language, size, &echoed(language, size)), Meaning::Answer(10), "{size}");
            }
        }
    }

    #[test]
    fn an_answer_that_was_changed_is_a_strangers() {
        for language in [Language::Echo, SOCKET_IO] {
            let good = echoed(language, 6);
            for at in 1..good.len() {
                let mut text = good.clone();
                text.remove(at);
                let said = read(language, 6, &text);
                assert_eq!(said, Meaning::Unexpected, "{text} for {good}");
            }
            assert_eq!(read(language, 6, &format!("{good}x")), Meaning::Unexpected);
        }
        for text in ["", "x", "10", "1O:xxx", "010:xx", "99999999999999999999:"] {
            assert_eq!(read(Language::Echo, 6, text), Meaning::Unexpected, "{text}");
        }
        for text in ["", "3", "310", "310[]", "310[\"", "2[\"echo\",\"xxx\"]"] {
            assert_eq!(read(SOCKET_IO, 6, text), Meaning::Unexpected, "{text}");
        }
        let binary = Message::Binary(Bytes::from(echoed(Language::Echo, 6)));
        assert_eq!(Payloads::new(Language::Echo, 6).read(&binary), Meaning::Unexpected);
    }

    #[test]
    fn socket_io_greets_and_refuses() {
        assert_eq!(read(SOCKET_IO, 3, "0{\"sid\":\"a\"}"), Meaning::Greeting);
        assert_eq!(read(SOCKET_IO, 3, "4{\"message\":\"no\"}"), Meaning::Refusal);
        assert_eq!(read(SOCKET_IO, 3, "1"), Meaning::Refusal);
        let asks =
            |asks| Payloads::new(Language::SocketIo { asks }, 0).greeting().map(|packet| text_of(&packet));
        assert_eq!((asks(true).as_deref(), asks(false)), (Some("0"), None));
    }
}
