//! A distinguished name as text (RFC 4514).
//!
//! Only ASCII without control characters comes out, as for `openssl -nameopt RFC2253`, so it can stand in a header.

use std::fmt::Write as _;

use super::der::{Der, SEQUENCE};

/// Returns the text of a name, the most specific part first.
pub(super) fn text(name: &[u8]) -> Option<String> {
    let mut name = Der(name);
    let mut parts = Vec::new();
    while !name.0.is_empty() {
        let mut set = Der(name.value(SET)?);
        let mut attributes = Vec::new();
        while !set.0.is_empty() {
            attributes.push(attribute(set.value(SEQUENCE)?)?);
        }
        attributes.reverse();
        parts.push(attributes.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

/// Returns the text of one attribute: a type and its value.
fn attribute(bytes: &[u8]) -> Option<String> {
    let mut attribute = Der(bytes);
    let kind = attribute.value(OBJECT_IDENTIFIER)?;
    let whole = attribute.0;
    let (tag, value) = attribute.next()?;
    let name = KINDS.iter().find(|(known, _)| *known == kind).map(|(_, name)| *name);
    Some(match (name, string(tag, value)) {
        (Some(name), Some(string)) => format!("{name}={}", escaped(string.as_bytes())),
        (Some(name), None) => format!("{name}=#{}", hexadecimal(whole)),
        (None, _) => format!("{}=#{}", dotted(kind)?, hexadecimal(whole)),
    })
}

/// Returns the text of a value, if its type is one of texts.
fn string(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        UTF8_STRING | NUMERIC_STRING | PRINTABLE_STRING | IA5_STRING | VISIBLE_STRING => {
            String::from_utf8(value.to_vec()).ok()
        }
        // In practice it is Latin-1.
        TELETEX_STRING => Some(value.iter().copied().map(char::from).collect()),
        BMP_STRING => {
            let (pairs, rest) = value.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            rest.is_empty().then(|| String::from_utf16(&units).ok()).flatten()
        }
        _ => None,
    }
}

/// Returns a value in which nothing has a meaning in the text of a name (RFC 4514, section 2.4).
fn escaped(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for (index, &byte) in value.iter().enumerate() {
        let is_edge = index == 0 || index + 1 == value.len();
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => text.extend(['\\', char::from(byte)]),
            b'#' if index == 0 => text.push_str("\\#"),
            b' ' if is_edge => text.push_str("\\ "),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                // A String takes whatever is written to it.
                let _written = write!(text, "\\{byte:02X}");
            }
        }
    }
    text
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default().to_ascii_uppercase();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// Returns the numbers of an object identifier.
fn dotted(bytes: &[u8]) -> Option<String> {
    let (mut numbers, mut number) = (Vec::new(), 0_u64);
    for byte in bytes {
        number = number.checked_mul(0x80)? + u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    let first = *numbers.first()?;
    let root = (first / 40).min(2);
    let mut all = vec![root.to_string(), (first - root * 40).to_string()];
    all.extend(numbers[1..].iter().map(u64::to_string));
    Some(all.join("."))
}

/// The types of attributes that have names, by their object identifiers.
const KINDS: [(&[u8], &str); 13] = [
    (&[85, 4, 3], "CN"),
    (&[85, 4, 4], "SN"),
    (&[85, 4, 5], "serialNumber"),
    (&[85, 4, 6], "C"),
    (&[85, 4, 7], "L"),
    (&[85, 4, 8], "ST"),
    (&[85, 4, 9], "street"),
    (&[85, 4, 10], "O"),
    (&[85, 4, 11], "OU"),
    (&[85, 4, 42], "GN"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
];

const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const NUMERIC_STRING: u8 = 0x12;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const VISIBLE_STRING: u8 = 0x1a;
const BMP_STRING: u8 = 0x1e;
const SET: u8 = 0x31;

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use rcgen::{DnType, DnValue, string::BmpString};

    #[test]
    fn a_subject_is_written_as_openssl_writes_it() {
        let key = rcgen::KeyPair::generate().unwrap();
        let subjects: [&[(DnType, DnValue)]; 8] = [
            &[],
            &[(DnType::CommonName, "alice".into())],
            &[
                (DnType::CountryName, "DE".into()),
                (DnType::OrganizationName, "A, B + C".into()),
                (DnType::CommonName, "x".into()),
            ],
            &[(DnType::CommonName, " # \"<q>\"; back\\slash = ".into())],
            &[
                (DnType::CommonName, "#1 M\u{fc}ller\r\nX-Admin: 1\0".into()),
                (DnType::StateOrProvinceName, " ".into()),
            ],
            &[(DnType::CommonName, DnValue::BmpString(BmpString::try_from("M\u{fc}ller \u{20ac}").unwrap()))],
            &[
                (DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 99_999, 1]), "own".into()),
                (DnType::OrganizationalUnitName, "u".into()),
            ],
            &[
                (DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1]), "uid".into()),
                (DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]), "a@b.test".into()),
                (DnType::LocalityName, "l".into()),
            ],
        ];
        for subject in subjects {
            let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
            params.distinguished_name = rcgen::DistinguishedName::new();
            for (kind, value) in subject {
                params.distinguished_name.push(kind.clone(), value.clone());
            }
            let certificate = params.self_signed(&key).unwrap();
            let mut openssl = Command::new("openssl")
                .args(["x509", "-noout", "-subject", "-nameopt", "RFC2253"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            openssl.stdin.take().unwrap().write_all(certificate.pem().as_bytes()).unwrap();
            let told = String::from_utf8(openssl.wait_with_output().unwrap().stdout).unwrap();
            let ours = super::super::leaf::subject(certificate.der()).unwrap_or_default();
            assert_eq!(format!("subject={ours}\n"), told);
            assert!(ours.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{ours}");
        }
    }
}
