//! Requests that another node has read: most of those that come by one. What it has found in them is not looked for again.

use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;

use super::Gateway;
use crate::bridge::{Entry, Located};
use crate::cluster::InquiryBody;
use crate::dialect::{Act, Intent, Place};
use crate::meter::Op;
use crate::peer::Read;
use crate::service::Connection;
use crate::service::serving::{Serving, count_head};
use crate::session::Terms;
use crate::transport::InBody;

impl Gateway {
    /// Returns the number by which other nodes know the route.
    pub(in crate::service) const fn number(&self) -> u64 {
        self.number
    }

    /// Returns what another node need not read again of a request for a session.
    pub(super) fn read(&self, head: &Parts, sid: &str, intent: &Intent) -> Option<Read> {
        let intent = self.dialect.number(intent)?;
        Read::new(self.number, intent, head.uri.path_and_query()?.as_str(), sid)
    }

    /// Serves a request that another node has read, if it is for a session of this node and does what most requests do;
    /// otherwise it must be read here.
    pub(in crate::service) fn serve_read(
        self: Arc<Self>,
        number: u8,
        sid: &str,
        headers: &HeaderMap,
        body: &mut InquiryBody,
        connection: &Connection,
    ) -> Option<Serving> {
        let Located::Here(entry) = self.route.registry.find(&self.route.id, sid) else { return None };
        let Entry::Bridge(bridge) = &entry else { return None };
        if !self.is_from_owner(bridge, headers, connection) {
            return None;
        }
        let act = self.dialect.judge_number(number, &Place::Here(entry.known()))?;
        let origin = self.cors.ask(headers);
        let mut take = |op| -> InBody {
            count_head(&self.route.meter, op, connection.head_len_elsewhere().unwrap_or_default());
            std::mem::take(body).into()
        };
        let bridge = Arc::clone(bridge);
        match act {
            Act::Poll(framing, terms) => {
                let (body, asker) = (take(Op::Poll), self.asker(headers, true));
                Some(self.poll(bridge, framing, Terms { by_peer: true, ..terms }, asker, body, origin))
            }
            Act::Push(framing) => {
                let (body, asker) = (take(Op::Push), self.asker(headers, false));
                let form = framing.read_push(headers);
                Some(self.push(bridge, framing, form, asker, body, origin))
            }
            Act::Begin(_)
            | Act::ReportEnd(..)
            | Act::Stream(..)
            | Act::Leave(_)
            | Act::Upgrade(_)
            | Act::TurnAway(_) => None,
        }
    }
}
