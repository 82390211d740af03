//! Reads Rust as far as the rules need it: which paths a file names, outside of comments, strings and characters.

/// A path that a file names, in an import or in its code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Named {
    /// Where it leads.
    pub(crate) path: Path,
    /// Whether it stands in a module that is compiled for tests alone.
    pub(crate) in_tests: bool,
    /// Whether an import brings it, and under which visibility.
    pub(crate) import: Import,
}

/// What an import does with the name that it brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Import {
    /// It is no import: the path stands in the code.
    No,
    /// It brings the name into its module.
    Private,
    /// It hands the name on (`pub use`).
    HandsOn,
}

/// Where a path leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Path {
    /// Into this crate, from its root.
    Own(Vec<String>),
    /// Into another crate, or to a name that an import brought.
    Foreign(Vec<String>),
}

/// Returns all paths of two segments or more that `source` names, `module` being the file's own.
pub(crate) fn named(source: &str, module: &[&str]) -> Vec<Named> {
    let code = code_of(source);
    let module = module.iter().map(|&name| name.to_owned()).collect();
    let mut reader = Reader {
        tokens: tokens(&code),
        at: 0,
        module,
        inline: Vec::new(),
        depth: 0,
        import: Import::No,
        found: Vec::new(),
    };
    reader.read();
    reader.found
}

/// Returns every name in the code of `source`, with the one before it where the two are a path.
pub(crate) fn names(source: &str) -> Vec<(Option<String>, String)> {
    let code = code_of(source);
    let tokens = tokens(&code);
    let before = |at: usize| {
        let is_path = at >= 2 && tokens[at - 1] == "::";
        is_path.then(|| tokens[at - 2].to_owned())
    };
    let all = tokens.iter().enumerate().filter(|(_, token)| is_name(token));
    all.map(|(at, token)| (before(at), (*token).to_owned())).collect()
}

struct Reader<'c> {
    tokens: Vec<&'c str>,
    at: usize,
    module: Vec<String>,
    inline: Vec<Inline<'c>>,
    depth: usize,
    import: Import,
    found: Vec<Named>,
}

/// A module with its body in this file.
struct Inline<'c> {
    name: &'c str,
    depth: usize,
    is_test: bool,
}

impl<'c> Reader<'c> {
    fn read(&mut self) {
        while let Some(&token) = self.tokens.get(self.at) {
            let before = &self.tokens[..self.at];
            self.at += 1;
            match token {
                "{" => self.depth += 1,
                "}" => {
                    self.depth = self.depth.saturating_sub(1);
                    self.inline.retain(|module| module.depth <= self.depth);
                }
                "mod" if self.token(1) == Some("{") => {
                    let is_test = before.ends_with(&["#", "[", "cfg", "(", "test", ")", "]"]);
                    self.depth += 1;
                    self.inline.push(Inline { name: self.tokens[self.at], depth: self.depth, is_test });
                    self.at += 2;
                }
                ";" => self.import = Import::No,
                "use" => {
                    let hands_on = matches!(before.last(), Some(&("pub" | ")")));
                    self.import = if hands_on { Import::HandsOn } else { Import::Private };
                }
                // The room that a visibility opens to is not used there.
                name if is_name(name) && before.ends_with(&["pub", "(", "in"]) => {
                    let found = self.found.len();
                    self.read_path(&mut vec![name]);
                    self.found.truncate(found);
                }
                name if is_name(name) && !matches!(before.last(), Some(&("::" | "."))) => {
                    self.read_path(&mut vec![name]);
                }
                _ => {}
            }
        }
    }

    /// Reads on behind a path's last segment, into the groups of an import.
    fn read_path(&mut self, segments: &mut Vec<&'c str>) {
        while self.token(0) == Some("::") {
            match self.token(1) {
                Some("{") => {
                    self.at += 2;
                    return self.read_group(segments);
                }
                Some(name) if is_name(name) || name == "*" => {
                    segments.push(name);
                    self.at += 2;
                }
                // A turbofish, or `<T as Trait>::`.
                Some(_) | None => break,
            }
        }
        self.note(segments);
    }

    fn read_group(&mut self, prefix: &[&'c str]) {
        while let Some(token) = self.token(0) {
            self.at += 1;
            match token {
                "}" => return,
                "self" => self.note(prefix),
                // The new name is no path.
                "as" => self.at += 1,
                name if is_name(name) || name == "*" => {
                    let mut segments = prefix.to_vec();
                    segments.push(name);
                    self.read_path(&mut segments);
                }
                _ => {}
            }
        }
    }

    fn note(&mut self, segments: &[&str]) {
        if segments.len() < 2 {
            return;
        }
        let in_tests = self.inline.iter().any(|module| module.is_test);
        self.found.push(Named { path: self.resolve(segments), in_tests, import: self.import });
    }

    fn resolve(&self, segments: &[&str]) -> Path {
        let owned = |segments: &[&str]| segments.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut base = self.module.clone();
        base.extend(self.inline.iter().map(|module| module.name.to_owned()));
        match segments {
            // The binary knows the library by its name.
            ["crate" | "polliwog", rest @ ..] => Path::Own(owned(rest)),
            ["self", rest @ ..] => Path::Own([base, owned(rest)].concat()),
            ["super", ..] => {
                let supers = segments.iter().take_while(|&&name| name == "super").count();
                base.truncate(base.len().saturating_sub(supers));
                Path::Own([base, owned(&segments[supers..])].concat())
            }
            _ => Path::Foreign(owned(segments)),
        }
    }

    fn token(&self, ahead: usize) -> Option<&'c str> {
        self.tokens.get(self.at + ahead).copied()
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names and numbers, `::`, and every other character for itself.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        let len = if in_word(first) {
            rest.find(|c| !in_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, behind) = rest.split_at(len);
        tokens.push(token);
        rest = behind.trim_start();
    }
    tokens
}

/// Returns the code alone: comments, strings and characters become a blank.
fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let in_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment_len(rest),
            '"' => string_len(rest),
            '\'' => char_len(rest),
            'r' | 'b' | 'c' if !in_word => raw_string_len(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[skipped..];
        }
    }
    code
}

/// Block comments nest.
fn block_comment_len(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            let Some(next) = text[at..].chars().next() else { return at };
            at += next.len_utf8();
        }
        if depth == 0 {
            return at;
        }
    }
}

fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Returns the length of a character literal; 0 for a lifetime.
fn char_len(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    let (Some((_, first)), Some((second_at, second))) = (chars.next(), chars.next()) else { return 0 };
    if first == '\\' {
        // The escaped character may be a quote itself.
        let behind = second_at + second.len_utf8();
        return text[behind..].find('\'').map_or(text.len(), |end| behind + end + 1);
    }
    if second == '\'' { second_at + 1 } else { 0 }
}

/// Returns the length of a raw string; 0 for anything else, such as a raw name.
fn raw_string_len(text: &str) -> usize {
    let Some(open) = text.find('"') else { return 0 };
    let marks = text[..open].trim_start_matches(['b', 'c']);
    let Some(hashes) = marks.strip_prefix('r').filter(|hashes| hashes.bytes().all(|byte| byte == b'#'))
    else {
        return 0;
    };
    let end = format!("\"{hashes}");
    text[open + 1..].find(&end).map_or(text.len(), |at| open + 1 + at + end.len())
}

mod tests {
    use super::*;

    /// Returns the paths into this crate, for a file of `src/bridge/handle.rs`.
    fn own(source: &str) -> Vec<String> {
        let own = |named: Named| match named.path {
            Path::Own(path) => Some(path.join("::")),
            Path::Foreign(_) => None,
        };
        named(source, &["bridge", "handle"]).into_iter().filter_map(own).collect()
    }

    #[test]
    fn every_branch_of_an_import_is_a_path() {
        assert_eq!(
            own("use crate::{end::End, packet::{self as words, Text}, sid::*};"),
            ["end::End", "packet", "packet::Text", "sid::*"]
        );
        assert_eq!(own("pub(crate) use crate::meter::{Op as Kind, Meter};"), ["meter::Op", "meter::Meter"]);
    }

    #[test]
    fn a_path_in_the_code_counts_like_an_import() {
        assert_eq!(
            own("fn f() -> crate::end::End { g::<crate::sid::Sid>(1).into() }"),
            ["end::End", "sid::Sid"]
        );
        assert_eq!(own("macro_rules! m { () => { $crate::app::run() } }"), ["app::run"]);
    }

    #[test]
    fn a_path_upwards_is_followed_to_where_it_leads() {
        assert_eq!(own("use super::driver::Driver;"), ["bridge::driver::Driver"]);
        assert_eq!(own("use super::super::app::run;"), ["app::run"]);
        assert_eq!(
            own("mod a { mod b { use super::super::super::super::app; } use super::X; }"),
            ["app", "bridge::handle::X"]
        );
        assert_eq!(own("mod a {} use super::registry::Registry;"), ["bridge::registry::Registry"]);
    }

    #[test]
    fn what_is_no_code_names_nothing() {
        let silent = r##"
            // crate::a::b
            //! [`x`](crate::a::b)
            /* crate::a /* crate::b::c */ crate::d::e */
            const A: &str = "crate::a::b \" crate::c::d";
            const B: &str = r#"crate::a::b " crate::c::d"#;
            const C: &[u8] = br"crate::a::b";
            const D: [char; 3] = ['"', '\'', '\\'];
        "##;
        assert_eq!(own(silent), Vec::<String>::new());
        assert_eq!(own("fn f<'a>(x: &'a str, y: char) { y == '\"'; crate::a::b('\\u{41}') }"), ["a::b"]);
    }

    #[test]
    fn what_stands_in_a_test_module_is_known_for_it() {
        let found =
            named("use tokio::net; #[cfg(test)] mod tests { use tokio::time; } fn f() { a::b() }", &[]);
        let told: Vec<bool> = found.iter().map(|named| named.in_tests).collect();
        assert_eq!(told, [false, true, false]);
    }
}
