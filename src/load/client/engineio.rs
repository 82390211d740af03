//! Long-polling in Engine.IO.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;

use super::requests::{Begun, Requests, expect, shown};
use crate::codec::engineio::{self, OpenPacket, Payload, v3};
use crate::frame::Malformed;
use crate::load::fault::Fault;
use crate::load::net::{Answer, Head, Query};
use crate::packet::{Packet, Transport};
use crate::revision::Revision;

/// One session's polls and POSTs.
#[derive(Debug)]
pub(super) struct EngineIo {
    revision: Revision,
    sid: Option<String>,
    offers_upgrade: bool,
    stamp: u64,
}

impl EngineIo {
    pub(super) const fn new(revision: Revision) -> Self {
        Self { revision, sid: None, offers_upgrade: false, stamp: 0 }
    }

    fn query(&mut self) -> Query<'_> {
        self.stamp += 1;
        Query {
            revision: self.revision,
            transport: Transport::Polling,
            sid: self.sid.as_deref(),
            stamp: self.stamp,
        }
    }
}

impl Requests for EngineIo {
    fn begin(&mut self, head: &Head) -> Request<Full<Bytes>> {
        head.get(self.query())
    }

    fn handle_begun(&mut self, answer: Answer) -> Result<Option<Begun>, Fault> {
        expect("the handshake", StatusCode::OK, &answer)?;
        let mut packets = read(self.revision, answer);
        let first = packets.next().unwrap_or_else(|| Err(Fault::Malformed(String::new())))?;
        let open = open(&first)?;
        self.sid = Some(open.sid.clone());
        self.offers_upgrade = open.upgrades;
        Ok(Some(Begun { open: Some(open), packets: packets.collect() }))
    }

    fn receive(&mut self, head: &Head) -> Request<Full<Bytes>> {
        head.get(self.query())
    }

    fn handle_received(&mut self, answer: Answer) -> Result<Vec<Result<Packet, Fault>>, Fault> {
        expect("a poll", StatusCode::OK, &answer)?;
        Ok(read(self.revision, answer).collect())
    }

    fn send(&mut self, head: &Head, packets: &[Packet]) -> Request<Full<Bytes>> {
        let body = match self.revision {
            Revision::V4 => engineio::encode_payload(packets),
            Revision::V3 => v3::encode_text_payload(packets, v3::Strings::Plain),
        };
        head.post(self.query(), body)
    }

    fn handle_sent(&mut self, answer: &Answer) -> Result<(), Fault> {
        expect("a POST", StatusCode::OK, answer)
    }

    fn end(&mut self, head: &Head, goodbye: &[Packet]) -> Option<Request<Full<Bytes>>> {
        Some(self.send(head, goodbye))
    }

    fn offers_upgrade(&self) -> Option<&str> {
        self.sid.as_deref().filter(|_| self.offers_upgrade)
    }
}

/// Returns the packets in the response to a poll.
fn read(revision: Revision, answer: Answer) -> Box<dyn Iterator<Item = Result<Packet, Fault>> + Send> {
    let start = shown(&answer.body);
    let judge = move |packet: Result<Packet, Malformed>| packet.map_err(|_| Fault::Malformed(start.clone()));
    match (revision, answer.binary) {
        (Revision::V4, _) => Box::new(Payload::new(answer.body).map(judge)),
        (Revision::V3, true) => Box::new(v3::BinaryPayload::new(answer.body).map(judge)),
        (Revision::V3, false) => Box::new(v3::TextPayload::new(answer.body, v3::Strings::Plain).map(judge)),
    }
}

/// Reads the open packet.
///
/// # Errors
/// The packet is another one.
pub(super) fn open(packet: &Packet) -> Result<OpenPacket, Fault> {
    let Packet::Open(text) = packet else {
        return Err(Fault::Malformed("the first packet is not the open packet".to_owned()));
    };
    OpenPacket::decode(text).ok_or_else(|| Fault::Malformed(shown(text.as_bytes())))
}
