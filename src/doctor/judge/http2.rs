//! Whether HTTP/2 is spoken, and whether a WebSocket opens over it where the server says so (RFC 8441).

use super::verdict::{Check, Verdict};
use crate::doctor::facts::Http2;
use crate::doctor::remedy::Trouble;

/// Judges what a TLS connection that offers HTTP/2 agreed on.
pub(super) fn judge(http2: Option<&Http2>) -> Verdict {
    match http2 {
        None => Verdict::unseen(Check::Http2, "not seen: browsers speak it by TLS alone"),
        Some(Http2::NotOffered) => Verdict::ok(Check::Http2, "not offered: browsers speak HTTP/1.1"),
        Some(Http2::Broken(why)) => {
            let evidence = vec!["ALPN: h2".to_owned(), why.clone()];
            Verdict::wrong(Trouble::Http2, Check::Http2, "agreed on, but not spoken", evidence)
        }
        Some(Http2::WithoutWebSocket) => {
            Verdict::ok(Check::Http2, "spoken; a WebSocket takes a connection of HTTP/1.1")
        }
        Some(Http2::WebSocket { asked, opened: Ok(()) }) => {
            Verdict::ok(Check::Http2, format!("spoken, with WebSocket over it ({asked})"))
        }
        Some(Http2::WebSocket { asked, opened: Err(came) }) => {
            let says = "WebSocket over HTTP/2 is announced, and fails";
            let settings = "SETTINGS_ENABLE_CONNECT_PROTOCOL = 1".to_owned();
            Verdict::wrong(Trouble::Http2, Check::Http2, says, vec![settings, asked.clone(), came.clone()])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Mark;
    use super::*;

    #[test]
    fn a_websocket_that_is_announced_must_open() {
        let opened = |opened| judge(Some(&Http2::WebSocket { asked: "CONNECT /".to_owned(), opened }));
        assert_eq!(opened(Ok(())).mark, Mark::Ok);
        assert_eq!(opened(Err("502 Bad Gateway".to_owned())).trouble, Some(Trouble::Http2));
        assert_eq!(judge(Some(&Http2::Broken("nothing".to_owned()))).trouble, Some(Trouble::Http2));
        assert_eq!(judge(Some(&Http2::WithoutWebSocket)).mark, Mark::Ok);
        assert_eq!(judge(Some(&Http2::NotOffered)).mark, Mark::Ok);
        assert_eq!(judge(None).mark, Mark::Unseen);
    }
}
