//! Which close codes and reasons a WebSocket Close frame may hold (RFC 6455, sections 5.5 and 7.4).

use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::packet::{Closing, Text};

/// Returns the Close frame for `closing`, as far as it can be expressed on the wire.
///
/// `None` is a frame without a code: 1005 and 1006 stand for the absence of a code and are never sent.
pub fn to_frame(closing: &Closing) -> Option<CloseFrame> {
    let code = closing.code.filter(|&code| may_be_sent(code))?;
    Some(CloseFrame { code: code.into(), reason: cut(closing.reason.as_str()).into() })
}

/// Returns the meaning of a received Close frame.
pub fn from_frame(frame: Option<CloseFrame>) -> Closing {
    frame.map_or_else(Closing::default, |frame| Closing {
        code: Some(frame.code.into()),
        reason: Text::lossy(frame.reason.into()),
        by_packet: false,
    })
}

/// Registered codes that may be sent, and those that libraries and applications may choose.
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Returns the longest prefix that fits into a control frame beside the code.
fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(REASON_LEN_MAX)]
}

/// A control frame carries 125 bytes, of which the code takes two.
const REASON_LEN_MAX: usize = 123;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_for_the_wire_are_sent() {
        let sent = |code| to_frame(&Closing::new(code, "why")).map(|frame| u16::from(frame.code));
        for code in [1000, 1001, 1003, 1007, 1009, 1013, 1014, 3000, 4999] {
            assert_eq!(sent(code), Some(code));
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, u16::MAX] {
            assert_eq!(sent(code), None, "{code}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        // 62 two-byte characters are 124 bytes: 123 would split the last one.
        let closing = Closing { code: Some(1000), reason: Text::from("é".repeat(62)), by_packet: false };
        let frame = to_frame(&closing).unwrap();
        assert_eq!(frame.reason.as_str(), "é".repeat(61));
    }

    #[test]
    fn a_frame_without_a_code_stays_without_one() {
        assert_eq!(from_frame(None), Closing::default());
        assert_eq!(to_frame(&Closing::default()), None);
    }
}
