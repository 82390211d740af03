//! Which addresses of the world a file may name: none, but for a few.

use crate::assert_none;
use crate::tree::files;

/// Hosts of the world, each with the one file that may name it.
const HOSTS: [(&str, &str); 5] = [
    // Where the text of the licence is.
    ("LICENSE-APACHE", "www.apache.org"),
    // The name that cargo has for its registry.
    ("Cargo.lock", "github.com/rust-lang/crates.io-index"),
    ("fuzz/Cargo.lock", "github.com/rust-lang/crates.io-index"),
    ("tests/interop/rust_client/Cargo.lock", "github.com/rust-lang/crates.io-index"),
    // The name of SVG's namespace, without which an image is none; nothing is fetched from there.
    ("src/upstream/demo/icon.svg", "www.w3.org/2000/svg"),
];

#[test]
fn no_file_tells_where_to_download() {
    assert_none(files("").iter().flat_map(|(file, text)| address_faults(file, text)));
}

/// Addresses of this machine, examples and names that nobody owns are fine.
fn address_faults(file: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    // Written so that this file does not find itself.
    if text.contains(concat!("\"resolved", "\":")) {
        faults.push(format!("{file}: tells where each package was downloaded"));
    }
    for (at, scheme) in text.match_indices("://") {
        let address = &text[at + scheme.len()..];
        let end =
            address.find(|c: char| !(c.is_alphanumeric() || ".-_/".contains(c))).unwrap_or(address.len());
        let address = &address[..end];
        let host = address.split('/').next().unwrap_or_default().to_lowercase();
        // The last part of an address is a number, however the others are written.
        let is_name = host.rsplit_once('.').is_some_and(|(_, last)| last.starts_with(char::is_alphabetic));
        let reserved =
            [".example", ".test", "example.org", "example.com"].iter().any(|end| host.ends_with(end));
        let allowed = HOSTS.iter().any(|(name, start)| *name == file && address.starts_with(start));
        // Where a package's authors ask for support: npm copies it as an address of its own line.
        let funding = file.ends_with("package-lock.json") && text[..at].ends_with("\"url\": \"https");
        if is_name && !reserved && !allowed && !funding {
            faults.push(format!("{file}: names {address}"));
        }
    }
    faults
}

mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_world_is_found() {
        for text in [
            concat!("https:", "//cdn.elsewhere.net/x"),
            concat!("\"git+ssh:", "//code.elsewhere.io\""),
            concat!("\"resolved", "\": 1"),
        ] {
            assert_eq!(address_faults("a.json", text).len(), 1, "{text}");
        }
        let funding = concat!("\"funding\": {\"url\": \"https:", "//sponsors.elsewhere.net/x\"}");
        assert!(address_faults("a/package-lock.json", funding).is_empty());
        assert_eq!(address_faults("a.json", funding).len(), 1);
        for text in ["http://127.0.0.1:8080/", "ws://localhost:1", "https://chat.example.org/", "ws://{}/"] {
            assert!(address_faults("a.json", text).is_empty(), "{text}");
        }
    }
}
