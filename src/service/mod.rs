//! How a request is handled: the stack, the router, the gateway of each route, and the admin listener's service.

pub mod admin;
mod answering;
mod arrivals;
mod auth;
mod bearer;
mod client;
mod collector;
mod cors;
mod demux;
mod foreign;
mod forward;
mod gateway;
mod granted;
mod guard;
mod handshake;
mod jwt;
mod key_ring;
mod locations;
mod marks;
mod moves;
mod named;
mod new_session;
mod no_place;
mod nodes;
mod onward;
mod passing;
mod preflight;
mod recorded;
mod refusals;
mod relay;
mod replies;
mod router;
mod running;
mod serving;
mod session_route;
mod settings;
mod sought;
mod stack;
mod target;
#[cfg(test)]
mod tests;
mod unknown;
mod unsent;
mod via;

pub use auth::Auth;
pub use bearer::TokenFrom;
pub use client::{Client, Connection, Hop};
pub use collector::Collector;
pub use demux::Demux;
pub use forward::{Forward, ForwardPath};
pub use gateway::Gateway;
pub use guard::Guard;
pub use jwt::Jwt;
pub use key_ring::{KeyRing, Source};
pub use locations::Locations;
pub use marks::Marks;
pub use nodes::{Nodes, NodesSettings};
pub use refusals::Refusals;
pub use running::{Handler, Running, Served};
pub use session_route::SessionRoute;
pub use settings::{
    AdminSettings, AuthSettings, Cors, DemuxSettings, HeaderRules, JwtSettings, KeySettings, OwnCors, Route,
};
pub use stack::{Current, Stack};
pub use via::Via;

pub(crate) use crate::transport::Response;
