//! What a directory needs of the server that keeps it: the seam between the directory and each kind of server.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::id::Id;
use crate::sid::Node;

/// A server that keeps a directory.
pub trait Engine: fmt::Debug + Send + Sync {
    /// Connects. The caller limits the wait.
    fn connect(&self) -> Answering<'_, Arc<dyn Connection>>;

    /// Returns the nodes that have said lately that they are there, without saying so of this one.
    fn look(&self) -> Answering<'_, Vec<Member>>;

    /// Returns where it is, without a password.
    fn address(&self) -> &str;
}

/// A connection to it, on which this node speaks. It is replaced after the first error.
pub trait Connection: Send + Sync {
    /// Claims ids for this node: those that no node has, those that it has already, and those of `instead_of`. Returns
    /// the node that has each of them now.
    fn claim<'c>(&'c self, ids: &'c [Id], instead_of: Option<Node>) -> Answering<'c, Answer<Vec<Verdict>>>;

    /// Returns the node that has an id.
    fn find(&self, id: Id) -> Answering<'_, Answer<Verdict>>;

    /// Releases those of these ids that this node has.
    fn release<'c>(&'c self, ids: &'c [Id]) -> Answering<'c, ()>;

    /// Says that this node is there, and returns the nodes that have said so lately.
    fn meet(&self) -> Answering<'_, Answer<Vec<Member>>>;

    /// Says that this node is going.
    fn leave(&self) -> Answering<'_, ()>;
}

/// The future of an answer.
pub type Answering<'c, T> = BoxFuture<'c, Result<T, Down>>;

/// What is known of an id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// This node has it.
    Of(Node),
    /// No node has it.
    #[cfg_attr(
        not(any(feature = "redis", feature = "nats", test)),
        allow(dead_code, reason = "only an engine says so")
    )]
    Nobody,
    /// The engine is down, or may have forgotten something: the nodes must be asked.
    Unsure,
}

/// An answer, and whose it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// The contents that it is from.
    pub contents: Contents,
}

/// Which contents an engine has: others after it was emptied or replaced. Empty if nobody has begun new ones yet.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Contents(pub String);

/// A node of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Which start of which node.
    pub node: Node,
    /// Where other nodes reach it.
    pub address: String,
}

/// There was no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Down(pub String);
