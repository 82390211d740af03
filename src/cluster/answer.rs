//! The body of a response that another node gives.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::channel::Channel;
use super::request::Stop;
use crate::duplex::{Piece, Receipt, Settle, Unflushed};
use crate::peer::Number;

/// The body of the response of another node. Each of its pieces has a receipt: what the client's connection has taken,
/// the other node learns, and settles its own.
#[derive(Debug)]
pub struct AnswerBody {
    asked: Arc<Asked>,
    len: Option<u64>,
    connection: Option<Unflushed>,
    /// How much of it was handed to the connection.
    read: u64,
    has_ended: bool,
}

/// The response broke behind its header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the response of another node broke")]
pub struct AnswerBroken;

/// A request whose response is on its way to the client.
struct Asked {
    channel: Arc<Channel>,
    number: Number,
}

/// Returns the receipt of a body that came in full.
pub(super) fn receipt(channel: Arc<Channel>, number: Number, len: usize) -> Receipt {
    let to = Arc::new(Asked { channel, number }) as Arc<dyn Settle>;
    Receipt::new(to, u32::try_from(len).unwrap_or(u32::MAX))
}

impl AnswerBody {
    pub(super) fn new(channel: Arc<Channel>, number: Number, len: Option<u64>) -> Self {
        Self { asked: Arc::new(Asked { channel, number }), len, connection: None, read: 0, has_ended: false }
    }

    /// Tells the body which connection will carry it.
    pub fn set_connection(&mut self, unflushed: &Unflushed) {
        self.connection = Some(unflushed.clone());
    }

    /// Returns its length, if it is known.
    pub const fn len(&self) -> Option<u64> {
        self.len
    }

    /// Polls for the next piece; `None` is the end.
    ///
    /// # Errors
    /// It breaks here.
    pub fn poll_piece(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Piece, AnswerBroken>>> {
        let Asked { channel, number } = &*self.asked;
        let piece = ready!(channel.poll_piece(*number, cx));
        let Ok(Some(bytes)) = piece else {
            self.has_ended = true;
            let is_broken = piece.is_err();
            if is_broken {
                channel.forget(*number);
            } else {
                channel.let_go(*number);
            }
            return Poll::Ready(is_broken.then_some(Err(AnswerBroken)));
        };
        self.read += bytes.len() as u64;
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let to = Arc::clone(&self.asked) as Arc<dyn Settle>;
        let piece = Piece::with_receipt(bytes, Receipt::new(to, len), self.connection.clone());
        Poll::Ready(Some(Ok(piece)))
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let Asked { channel, number } = &*self.asked;
        // Hyper drops a body of known length once it has all of it.
        if self.len == Some(self.read) {
            channel.let_go(*number);
        } else {
            channel.stop(*number, Stop::Gone);
        }
    }
}

/// A receipt's number is the length of its piece.
impl Settle for Asked {
    fn settled(&self, len: u32) {
        self.channel.took(self.number, len.into(), 1);
    }

    fn lost(&self, _len: u32) {
        self.channel.stop(self.number, Stop::Gone);
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Asked").field(&self.number).finish()
    }
}
