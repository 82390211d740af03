//! What nodes say to each other by way of the server. Pure.

use std::fmt;

use super::claims::Question;
use crate::sid::Node;

/// What a node says to all others, or to one that has just come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Notice<'t> {
    /// It is there.
    Here {
        /// Which start of which node.
        node: Node,
        /// Where other nodes reach it.
        address: &'t str,
        /// Names its connection to the server.
        mark: &'t str,
    },
    /// It is going.
    Gone(Node),
}

impl<'t> Notice<'t> {
    /// Reads a notice. Nodes of a later version may send others.
    pub(super) fn read(text: &'t [u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        let what = words.next()?;
        let node = Node::parse(words.next()?)?;
        match what {
            "here" => Some(Self::Here { node, address: words.next()?, mark: words.next()? }),
            "gone" => Some(Self::Gone(node)),
            _ => None,
        }
    }
}

impl fmt::Display for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here { node, address, mark } => write!(f, "here {node} {address} {mark}"),
            Self::Gone(node) => write!(f, "gone {node}"),
        }
    }
}

impl Question {
    /// Reads a question.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        if text.is_empty() {
            return Some(Self::Find);
        }
        let (by, instead_of) = match text.split_once(' ') {
            None => (text, None),
            Some((by, instead_of)) => (by, Some(Node::parse(instead_of)?)),
        };
        Some(Self::Claim { by: Node::parse(by)?, instead_of })
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Find => Ok(()),
            Self::Claim { by, instead_of: None } => write!(f, "{by}"),
            Self::Claim { by, instead_of: Some(instead_of) } => write!(f, "{by} {instead_of}"),
        }
    }
}

/// The answer of a node that does not have an id any more. One that has it says its name.
pub(super) const NO_MORE: &str = "-";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sid::Tag;

    #[test]
    fn what_is_said_is_understood() {
        let node = |name| Node::from_random(Tag::of_name(name).unwrap(), [7; 2]);
        let (a, b) = (node("a"), node("b"));
        for notice in [Notice::Here { node: a, address: "[::1]:7400", mark: "00ff" }, Notice::Gone(b)] {
            assert_eq!(Notice::read(notice.to_string().as_bytes()), Some(notice));
        }
        for question in [
            Question::Find,
            Question::Claim { by: a, instead_of: None },
            Question::Claim { by: a, instead_of: Some(b) },
        ] {
            assert_eq!(Question::read(question.to_string().as_bytes()), Some(question));
        }
        assert_eq!(Node::parse(NO_MORE), None);
        for text in ["", "here", "here a", "here a---HH", "gone", "come a---HH", "here a---HH a:1"] {
            assert_eq!(Notice::read(text.as_bytes()), None, "{text}");
        }
        for text in ["a", "a---HH b", " ", "a---HH "] {
            assert_eq!(Question::read(text.as_bytes()), None, "{text}");
        }
    }
}
