//! The nodes of a cluster: which there are, and the connections on which one asks another for its sessions.
//!
//! A session's id names its [`Node`](crate::sid::Node), so nobody is asked where a session is. A [`Cluster`] knows the
//! addresses; a [`Peer`] dials its node at the first need, and shares the connection among all requests. What the nodes say
//! to each other is in [`peer`](crate::peer).

mod answer;
mod askers;
mod channel;
mod dial;
mod dns;
mod entrance;
mod frames;
mod greeting;
mod kin;
mod leave;
mod local;
mod members;
mod peer;
mod pump;
mod question;
mod request;
mod roster;
mod secured;
mod settings;
mod sight;
mod stream;
mod survey;

pub use answer::{AnswerBody, AnswerBroken};
#[cfg(test)]
pub use dial::Way;
pub use dial::{Unreached, WANT};
pub use dns::resolved;
#[cfg(test)]
pub use dns::resolved_by;
pub use entrance::{FINISH_TIMEOUT, Gone, Inquiry, InquiryBody, InquiryStopped, News};
pub use greeting::{Greeting, LEAVING, Me};
pub use kin::Kin;
pub use members::Cluster;
pub use peer::{Owner, Peer};
pub use question::{ASKER, Broken, CAME_IN, CameIn, Prepared, Question, remote};
pub use request::LetGo;
pub use roster::{Nodes, Roster};
pub use secured::{NextSecured, Secured};
pub use settings::{Peers, Settings, Tls};
pub use sight::Sight;
pub use stream::PeerStream;
pub use survey::{Finding, survey};
