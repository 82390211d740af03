//! Whether clients trust the certificate of a server that is examined whatever it shows.

use super::verdict::{Check, Verdict};

/// Judges a certificate: what is wrong with it, in words, if it is not trusted.
pub(super) fn judge(found: Result<(), &'static str>) -> Verdict {
    match found {
        Ok(()) => Verdict::ok(Check::Certificate, "trusted: --insecure is not needed"),
        Err(why) => Verdict::note(Check::Certificate, format!("{why}; passed over, as --insecure says")),
    }
}
