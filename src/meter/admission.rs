//! The closed sets of label values about clients that come in, or may not.

use super::words::words;

words! {
    /// What was said of a client that came for a session or with a request.
    AuthOutcome {
        /// It may come in.
        Granted = "granted",
        /// It may not.
        Refused = "refused",
        /// There was no response.
        Failed = "failed",
    }
}

words! {
    /// What became of a client's token.
    TokenOutcome {
        /// It lets the client in.
        Valid = "valid",
        /// There was none.
        Missing = "missing",
        /// It has expired.
        Expired = "expired",
        /// It is wrong in another way.
        Invalid = "invalid",
        /// There were no keys to judge it by.
        NoKeys = "no_keys",
    }
}
