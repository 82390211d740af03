//! How large a budget is.

/// What the configuration says of it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum MemoryMax {
    /// A part of the memory that there is.
    #[default]
    Quarter,
    /// No limit.
    Unlimited,
    /// So many bytes.
    Bytes(usize),
}

impl MemoryMax {
    /// Returns the limit where so much memory is `available`, as far as that is known.
    pub fn bytes(self, available: Option<usize>) -> Option<usize> {
        match self {
            Self::Quarter => available.map(|available| available / 4),
            Self::Unlimited => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_taken_unless_something_else_is_said() {
        assert_eq!(MemoryMax::Quarter.bytes(Some(1000)), Some(250));
        assert_eq!(MemoryMax::Quarter.bytes(None), None);
        assert_eq!(MemoryMax::Bytes(7).bytes(Some(1000)), Some(7));
        assert_eq!(MemoryMax::Unlimited.bytes(Some(1000)), None);
    }
}
