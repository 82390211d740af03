//! A session's talk under a clock that only these tests move.

use super::*;
