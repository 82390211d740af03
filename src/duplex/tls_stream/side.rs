//! One step of a connection of rustls, of whichever side.

use std::fmt;

use rustls::CommonState;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};

/// A connection of rustls, which keeps no bytes.
pub(super) enum Side {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// What a connection should do, once it can.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish<'w> {
    /// Nothing but reading.
    Read,
    /// Encrypt these bytes.
    Write(&'w [u8]),
    /// Say that this was all.
    Close,
}

/// What came of one step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// There may be more to do.
    Further,
    /// The other side said that this was all. There may be more to do.
    Closed,
    /// The wish is fulfilled, or there was none, and more bytes are needed to read on.
    Done,
    /// A wish can't be fulfilled now; more bytes are needed to read on.
    Blocked,
}

impl Side {
    /// Returns what was agreed in the handshake.
    pub(super) fn common(&self) -> &CommonState {
        match self {
            Self::Server(connection) => connection,
            Self::Client(connection) => connection,
        }
    }

    /// Takes one step, and returns how many of the incoming bytes it has taken. The same bytes without those must come with
    /// the next step, whatever that is for: rustls remembers where the parts of a message lie.
    pub(super) fn step(
        &mut self,
        incoming: &mut [u8],
        wish: Wish<'_>,
        plain: &mut impl FnMut(&[u8]),
        outgoing: &mut Vec<u8>,
    ) -> (Result<Step, rustls::Error>, usize) {
        match self {
            Self::Server(connection) => step(connection.process_tls_records(incoming), wish, plain, outgoing),
            Self::Client(connection) => step(connection.process_tls_records(incoming), wish, plain, outgoing),
        }
    }

    /// Encrypts what the other side is told of a fault. Nothing is read any more: rustls would find the same fault again.
    pub(super) fn alert(&mut self, outgoing: &mut Vec<u8>) {
        while self.common().wants_write() {
            let _ = self.step(&mut [], Wish::Read, &mut |_| {}, outgoing);
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an open set, of which these are all that come here")]
fn step<D>(
    status: UnbufferedStatus<'_, '_, D>,
    wish: Wish<'_>,
    plain: &mut impl FnMut(&[u8]),
    outgoing: &mut Vec<u8>,
) -> (Result<Step, rustls::Error>, usize) {
    let UnbufferedStatus { mut discard, state } = status;
    let step = state.and_then(|state| match state {
        ConnectionState::ReadTraffic(mut traffic) => {
            while let Some(record) = traffic.next_record() {
                let record = record?;
                discard += record.discard;
                plain(record.payload);
            }
            Ok(Step::Further)
        }
        ConnectionState::EncodeTlsData(mut data) => encode(&mut data, outgoing).map(|()| Step::Further),
        ConnectionState::TransmitTlsData(data) => {
            // It waits with everything else that is written.
            data.done();
            Ok(Step::Further)
        }
        ConnectionState::PeerClosed => Ok(Step::Closed),
        ConnectionState::WriteTraffic(mut traffic) => {
            fulfil(&mut traffic, wish, outgoing).map(|()| Step::Done)
        }
        // Blocked, or closed. Early data is not asked for.
        _ => match wish {
            Wish::Read => Ok(Step::Done),
            Wish::Write(_) | Wish::Close => Ok(Step::Blocked),
        },
    });
    (step, discard)
}

fn fulfil<D>(
    traffic: &mut WriteTraffic<'_, D>,
    wish: Wish<'_>,
    outgoing: &mut Vec<u8>,
) -> Result<(), rustls::Error> {
    let (mut room, plain) = match wish {
        Wish::Read => return Ok(()),
        Wish::Write(plain) => (plain.len() + (plain.len() / RECORD_LEN + 1) * OVERHEAD, Some(plain)),
        Wish::Close => (OVERHEAD, None),
    };
    let begin = outgoing.len();
    loop {
        outgoing.resize(begin + room, 0);
        let encrypted = match plain {
            Some(plain) => traffic.encrypt(plain, &mut outgoing[begin..]),
            None => traffic.queue_close_notify(&mut outgoing[begin..]),
        };
        let len = encrypted.as_ref().copied().unwrap_or_default();
        outgoing.truncate(begin + len);
        match encrypted {
            Ok(_) => return Ok(()),
            Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
                room = required_size;
            }
            Err(EncryptError::EncryptExhausted) => return Err(rustls::Error::EncryptError),
        }
    }
}

fn encode<D>(data: &mut EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) -> Result<(), rustls::Error> {
    let (begin, mut room) = (outgoing.len(), RECORD_LEN);
    loop {
        outgoing.resize(begin + room, 0);
        let encoded = data.encode(&mut outgoing[begin..]);
        let len = encoded.as_ref().copied().unwrap_or_default();
        outgoing.truncate(begin + len);
        match encoded {
            Ok(_) => return Ok(()),
            Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
                room = required_size;
            }
            Err(EncodeError::AlreadyEncoded) => return Err(rustls::Error::EncryptError),
        }
    }
}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server(_) => "Server",
            Self::Client(_) => "Client",
        })
    }
}

/// The most that a record holds (RFC 8446, section 5.1).
const RECORD_LEN: usize = 1 << 14;
/// More than encryption adds to a record in any version.
const OVERHEAD: usize = 64;
