//! What a client's `User-Agent` says: whether its answers need other headers.

/// Returns whether it is Internet Explorer.
pub fn is_legacy_ie(agent: &[u8]) -> bool {
    let is_ie = |at: usize| {
        let (before, behind) = agent.split_at(at);
        behind.starts_with(b"Trident/") || before.ends_with(b";MS") && behind.starts_with(b"IE")
    };
    // No letters of the two are rarer in what other browsers send.
    memchr::memchr2_iter(b'I', b'T', agent).any(is_ie)
}
