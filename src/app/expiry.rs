//! Watches the ends of the certificates that this process shows others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::sleep;

use crate::config::Config;
use crate::meter::Metrics;
use crate::tls::Expiry;

/// Shows when the certificates of what is in force expire, and warns before, until the configuration goes.
pub(super) async fn watch(
    mut config: watch::Receiver<Arc<Config>>,
    mut ordered: watch::Receiver<()>,
    metrics: Metrics,
) {
    let read = |config: &Config| -> Vec<Expiry> {
        config.identities().filter_map(|identity| Expiry::of(&identity)).collect()
    };
    let (mut warned, mut expiries) = (Warned::default(), read(&config.borrow_and_update()));
    loop {
        let shown = |one: &Expiry| (one.file.display().to_string(), one.name.clone(), one.at);
        metrics.certificates_expire(expiries.iter().map(shown));
        let now = SystemTime::now();
        for expiry in warned.due(&expiries, now) {
            let Expiry { file, name, .. } = expiry;
            tracing::warn!(file = %file.display(), name, "a certificate {}", expiry.told(now));
        }
        tokio::select! {
            changed = config.changed() => {
                if changed.is_err() {
                    return;
                }
                expiries = read(&config.borrow_and_update());
            }
            Ok(()) = ordered.changed() => expiries = read(&config.borrow()),
            () = sleep(PACE) => {}
        }
    }
}

/// When a warning was last written of each certificate.
#[derive(Default)]
struct Warned(HashMap<(PathBuf, SystemTime), SystemTime>);

impl Warned {
    /// Returns those of which a warning is due: of each once a day at most, however often the configuration is read.
    fn due<'e>(&mut self, expiries: &'e [Expiry], now: SystemTime) -> Vec<&'e Expiry> {
        self.0.retain(|_, last| now.duration_since(*last).is_ok_and(|since| since < DAY));
        let mut is_new = |one: &Expiry| match self.0.entry((one.file.clone(), one.at)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(now);
                true
            }
        };
        let is_due = |one: &&Expiry| one.is_near(now) && is_new(one);
        expiries.iter().filter(is_due).collect()
    }
}

/// How often the clock is looked at.
const PACE: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tls::Validity;

    #[test]
    fn a_warning_comes_once_a_day_from_21_days_before() {
        let start = SystemTime::UNIX_EPOCH + 20_000 * DAY;
        let expiry = |days: u32| {
            let validity = Validity { begin: start - 90 * DAY, end: start + days * DAY };
            Expiry::new(Path::new("a.pem"), "a.test".into(), validity)
        };
        let all = [expiry(40)];
        let mut warned = Warned::default();
        let mut warnings = Vec::new();
        for hour in 0..42 * 24 {
            let now = start + hour * PACE;
            for due in warned.due(&all, now) {
                warnings.push(due.told(now));
            }
        }
        assert_eq!(warnings.len(), 42 - 19, "{warnings:#?}");
        assert_eq!(warnings[0], "expires on Wed, 13 Nov 2024 00:00:00 GMT, in 20 days");
        assert!(
            warnings[20].ends_with(", in 0 days") && warnings[22].ends_with(", 1 day ago"),
            "{warnings:#?}"
        );
        // Another one in its place.
        assert_eq!(warned.due(&[expiry(43)], start + 42 * DAY).len(), 1);
        assert!(warned.due(&[expiry(43), expiry(99)], start + 42 * DAY).is_empty());
        // One of six days, which is renewed after four.
        let short = Validity { begin: start, end: start + 6 * DAY };
        let short = [Expiry::new(Path::new("b.pem"), "b.test".into(), short)];
        assert!(warned.due(&short, start + 4 * DAY).is_empty());
        assert_eq!(warned.due(&short, start + 5 * DAY).len(), 1);
    }
}
