//! What a certificate says of itself: the hosts that it names, how long it is valid, and whose it is.
//!
//! Certificates that come here have been parsed by webpki, which shows their names, but neither validity nor subject as text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::der::{Der, SEQUENCE};
use super::subject;

/// Returns the names of hosts in a certificate, each once and in lower case, in their order.
pub(super) fn names(leaf: &CertificateDer<'_>) -> Result<Vec<String>, rustls::Error> {
    let invalid = |_| rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding);
    let leaf = EndEntityCert::try_from(leaf).map_err(invalid)?;
    let mut names: Vec<String> = Vec::new();
    for name in leaf.valid_dns_names().map(str::to_ascii_lowercase) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// From when until when a certificate is valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// Its first moment.
    pub begin: SystemTime,
    /// Its last moment.
    pub end: SystemTime,
}

/// Returns how long a certificate is valid (RFC 5280, section 4.1.2.5).
pub(super) fn validity(leaf: &CertificateDer<'_>) -> Option<Validity> {
    let mut validity = Der(from_validity(leaf)?.value(SEQUENCE)?);
    Some(Validity { begin: time(validity.next()?)?, end: time(validity.next()?)? })
}

/// Returns the time in a value of DER with this tag.
fn time((tag, time): (u8, &[u8])) -> Option<SystemTime> {
    let time = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let year = digits(time.get(..2)?)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, time.get(2..)?)
        }
        GENERALIZED_TIME => (digits(time.get(..4)?)?, time.get(4..)?),
        _ => return None,
    };
    let part = |index: usize| digits(rest.get(2 * index..2 * index + 2)?);
    let (month, day) = (part(0)?, part(1)?);
    let seconds = part(2)? * 3600 + part(3)? * 60 + part(4)?;
    let days = days_since_1970(year, month, day)?;
    Some(UNIX_EPOCH + Duration::from_secs(days * 86_400 + seconds))
}

/// Returns whose a certificate is, in the text of RFC 4514; `None` if it does not say so.
pub(super) fn subject(leaf: &CertificateDer<'_>) -> Option<String> {
    let mut rest = from_validity(leaf)?;
    rest.value(SEQUENCE)?;
    subject::text(rest.value(SEQUENCE)?).filter(|text| !text.is_empty())
}

/// Returns the part of a certificate that begins with its validity.
fn from_validity<'d>(leaf: &'d CertificateDer<'_>) -> Option<Der<'d>> {
    let mut certificate = Der(Der(leaf).value(SEQUENCE)?);
    let mut signed = Der(certificate.value(SEQUENCE)?);
    // The version stands in a tag of its own, and is left out of version 1. Then come number, algorithm and issuer.
    while signed.next()?.0 != SEQUENCE {}
    signed.value(SEQUENCE)?;
    Some(signed)
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Returns the days to a date; a date before is the first day.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March, so that the day of a leap year is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some(days.saturating_sub(DAYS_TO_1970))
}

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// From the first of March of the year 0.
const DAYS_TO_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use rcgen::date_time_ymd;

    use super::*;

    #[test]
    fn the_validity_of_a_certificate_is_read_to_the_second() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        for (year, month, day) in [
            (1970, 1, 1),
            (1999, 12, 31),
            (2000, 2, 29),
            (2026, 11, 27),
            (2038, 1, 19),
            (2049, 12, 31),
            // From here on in the longer form.
            (2050, 1, 1),
            (2100, 3, 1),
            (9999, 12, 31),
        ] {
            params.not_before = date_time_ymd(year, month, day);
            params.not_after = params.not_before + Duration::from_secs(86_399);
            let expected = u64::try_from(params.not_before.unix_timestamp()).unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let begin = UNIX_EPOCH + Duration::from_secs(expected);
            let expected = Validity { begin, end: begin + Duration::from_secs(86_399) };
            assert_eq!(validity(certificate.der()), Some(expected), "{year}-{month}-{day}");
        }
    }

    #[test]
    fn a_certificate_that_is_cut_anywhere_or_changed_does_no_harm() {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let whole = pair.cert.der().to_vec();
        for end in 0..whole.len() {
            assert_eq!(validity(&whole[..end].to_vec().into()), None);
        }
        for at in 0..whole.len() {
            for byte in [0, 0x7f, 0x80, 0x81, 0x84, 0xff] {
                let mut changed = whole.clone();
                changed[at] = byte;
                let _read = validity(&changed.into());
            }
        }
    }
}
