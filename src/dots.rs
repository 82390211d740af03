//! Dot segments of a path (RFC 3986, section 5.2.4), read as suspiciously as the most lenient backend reads them: `%2e`
//! is a dot, `\`, `%2f` and `%5c` beside a dot segment are slashes, and what follows a semicolon (a parameter, section 3.3)
//! counts as nothing.
//!
//! Nothing is rewritten here. A path is resolved to find out where it leads; backends get what the client wrote.

/// How two slashes in a row are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slashes {
    /// With an empty segment between them.
    Kept,
    /// As one slash.
    Merged,
}

/// Returns whether a path may contain a dot segment, or be read in another way. Most aren't, and this check is all that
/// they cost.
pub(crate) fn may_have(path: &str) -> bool {
    let mut before = 0;
    for &byte in path.as_bytes() {
        if matches!(byte, b'%' | b'\\' | b';') || matches!(byte, b'.' | b'/') && before == b'/' {
            return true;
        }
        before = byte;
    }
    false
}

/// Resolves a path; `..` at the top stays there.
pub(crate) fn resolve(path: &str, slashes: Slashes) -> String {
    let segments = segments(path.strip_prefix('/').unwrap_or(path));
    let last = segments.len().saturating_sub(1);
    let mut kept: Vec<&str> = Vec::with_capacity(segments.len());
    for (index, segment) in segments.into_iter().enumerate() {
        let dots = dots(segment);
        if dots == Some(Dots::Two) {
            kept.pop();
        }
        match dots {
            // What is left is a folder.
            Some(_) if index == last => kept.push(""),
            Some(_) => {}
            None if name(segment).is_empty() && slashes == Slashes::Merged && index != last => {}
            None => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Returns a path as a backend reads it that decodes everything, also what is a slash then.
pub(crate) fn decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%').then(|| path.get(at + 1..at + 3)).flatten();
        // A sign is none of the digits.
        let code = escaped.filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        decoded.push(match code.unwrap_or(byte) {
            b'\\' => b'/',
            byte => byte,
        });
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Returns a path as a backend reads it that cuts off the parameters of each segment; `None` if there are none.
pub(crate) fn without_parameters(path: &str) -> Option<String> {
    let names = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    path.contains(';').then(|| names.collect::<Vec<_>>().join("/"))
}

/// Returns whether the part after a prefix leads out of it, even if only on its way.
pub(crate) fn climbs(rest: &str) -> bool {
    let mut depth = 0_usize;
    may_have_behind(rest)
        && segments(rest.strip_prefix('/').unwrap_or(rest)).into_iter().any(|segment| {
            match dots(segment) {
                Some(Dots::Two) => match depth.checked_sub(1) {
                    Some(up) => depth = up,
                    None => return true,
                },
                // Two slashes may count as one.
                Some(Dots::One) => {}
                None => depth += usize::from(!name(segment).is_empty()),
            }
            false
        })
}

fn may_have_behind(rest: &str) -> bool {
    rest.starts_with('.') || may_have(rest)
}

/// Returns the segments between slashes, and between what counts as a slash.
fn segments(path: &str) -> Vec<&str> {
    let (mut segments, mut begin, mut piece) = (Vec::new(), 0, 0);
    let mut at = 0;
    while at < path.len() {
        let Some(length) = separator(&path.as_bytes()[at..]) else {
            at += 1;
            continue;
        };
        let end = at + length;
        let next = (end..path.len()).find(|&at| separator(&path.as_bytes()[at..]).is_some());
        let next = next.unwrap_or(path.len());
        let is_slash = length == 1 && path.as_bytes()[at] == b'/';
        if is_slash || dots(&path[piece..at]).is_some() || dots(&path[end..next]).is_some() {
            segments.push(&path[begin..at]);
            begin = end;
        }
        piece = end;
        at = end;
    }
    segments.push(&path[begin..]);
    segments
}

/// Returns the length of a possible slash.
fn separator(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'/' | b'\\', ..] => Some(1),
        [b'%', b'2', b'f' | b'F', ..] | [b'%', b'5', b'c' | b'C', ..] => Some(3),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Dots {
    One,
    Two,
}

/// Returns a segment without its parameters, however their semicolon is written.
fn name(segment: &str) -> &str {
    let name = segment.split(';').next().unwrap_or_default();
    ["%3b", "%3B"].iter().fold(name, |name, semicolon| name.split(semicolon).next().unwrap_or_default())
}

/// Returns a segment that consists only of dots, besides its parameters.
fn dots(segment: &str) -> Option<Dots> {
    let mut rest = name(segment);
    let mut count = 0;
    while !rest.is_empty() {
        rest = rest
            .strip_prefix('.')
            .or_else(|| rest.strip_prefix("%2e"))
            .or_else(|| rest.strip_prefix("%2E"))?;
        count += 1;
    }
    match count {
        1 => Some(Dots::One),
        2 => Some(Dots::Two),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_resolved_as_its_rfc_says() {
        for (path, kept, merged) in [
            ("/a/b", "/a/b", "/a/b"),
            ("/a/./b", "/a/b", "/a/b"),
            ("/a/../b", "/b", "/b"),
            ("/a/b/..", "/a/", "/a/"),
            ("/a/b/.", "/a/b/", "/a/b/"),
            ("/../a", "/a", "/a"),
            ("/a//../b", "/a/b", "/b"),
            ("/a//b/", "/a//b/", "/a/b/"),
            ("/a/%2e%2E/b", "/b", "/b"),
            ("/a/.%2e/b", "/b", "/b"),
            ("/a/..%2fb", "/b", "/b"),
            ("/a%2F../b", "/b", "/b"),
            ("/a%5c..%5Cb", "/b", "/b"),
            ("/a\\..\\b", "/b", "/b"),
            ("/a/..;x=1/b", "/b", "/b"),
            ("/a/..%3bx/b", "/b", "/b"),
            ("/a/;/../b", "/a/b", "/b"),
            ("/a%2fb/../c", "/c", "/c"),
            ("/a%2fb\\c", "/a%2fb\\c", "/a%2fb\\c"),
            ("/.a/..b/...", "/.a/..b/...", "/.a/..b/..."),
            ("/\u{e4}/../b", "/b", "/b"),
        ] {
            assert_eq!(resolve(path, Slashes::Kept), kept, "{path}");
            assert_eq!(resolve(path, Slashes::Merged), merged, "{path}");
        }
    }

    #[test]
    fn what_leads_out_is_found_also_on_the_way() {
        for rest in [
            "..",
            "/..",
            "../a",
            "a/../../b",
            "a//../../b",
            "%2e%2e/a",
            "..%2fa",
            "./..\\",
            "..;/a",
            "a/../../x/y",
            ";/../a",
            "/;x=1/../a",
            "%3bx/../a",
        ] {
            assert!(climbs(rest), "{rest}");
        }
        for rest in
            ["", "/", "a", "a/..", "./a", "a/b/../..", "...", "a..", "..a", "a%2f%2e", "a?..", "a%2fb/.."]
        {
            assert!(!climbs(rest), "{rest}");
        }
    }

    #[test]
    fn a_common_path_is_not_looked_into() {
        assert!(!may_have("/socket.io/") && !may_have("/a/b.c") && !may_have("*"));
        assert!(may_have("/.") && may_have("/a/%2e") && may_have("/a\\..") && may_have("/a;b"));
    }

    #[test]
    fn parameters_are_cut_off_each_segment() {
        for (path, cut) in [
            ("/a/b", None),
            ("/a;b", Some("/a")),
            ("/a;b;c/d;e=f/", Some("/a/d/")),
            ("/;/a", Some("//a")),
            ("/a;x%2f..%2fb", Some("/a")),
        ] {
            assert_eq!(without_parameters(path).as_deref(), cut, "{path}");
        }
    }
}
