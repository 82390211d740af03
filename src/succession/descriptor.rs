//! A descriptor that goes from one process to another.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Sends one descriptor, with one byte: on a stream, descriptors arrive with the bytes that they were sent with.
pub(super) async fn send(stream: &UnixStream, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let sent = stream.async_io(Interest::WRITABLE, || {
        let descriptors = [descriptor];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::Error::other("no room for a descriptor"));
        }
        Ok(sendmsg(stream.as_fd(), &[IoSlice::new(&[BYTE])], &mut ancillary, SendFlags::NOSIGNAL)?)
    });
    if sent.await? == 1 { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Receives one.
pub(super) async fn receive(stream: &UnixStream) -> io::Result<OwnedFd> {
    let received = stream.async_io(Interest::READABLE, || {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        // Not for the children of this process.
        let flags = RecvFlags::CMSG_CLOEXEC;
        let message = recvmsg(stream.as_fd(), &mut [IoSliceMut::new(&mut byte)], &mut ancillary, flags)?;
        if message.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let received = ancillary.drain().find_map(|message| {
            let RecvAncillaryMessage::ScmRights(mut descriptors) = message else { return None };
            descriptors.next()
        });
        Ok((byte[0], received))
    });
    match received.await? {
        (BYTE, Some(descriptor)) => Ok(descriptor),
        (_, _) => Err(io::Error::other("no descriptor came")),
    }
}

/// What a descriptor is sent with.
const BYTE: u8 = b'D';
