//! The demo's controls, which end the process: only for those at this machine.

use std::collections::BTreeMap;

use super::fault::{Problem, Sink};
use super::listeners::Taken;
use super::tree::Entry;
use crate::upstream::Settings;

/// Reports `controls = true` beside a listener that other machines reach.
pub(super) fn check(
    entries: &[Entry],
    upstreams: &BTreeMap<String, Settings>,
    listeners: &[Taken],
    sink: &Sink,
) {
    let is_open = |own: &&Taken| own.address.ip().is_some_and(|address| !address.ip().is_loopback());
    let Some(open) = listeners.iter().find(is_open) else { return };
    for entry in entries {
        if !upstreams.get(&entry.name).is_some_and(|settings| settings.controls) {
            continue;
        }
        let place = entry.node.get("controls").map_or(&entry.place, |node| &node.place);
        let Taken { key, address, .. } = open;
        let expected = format!("false with {key} at {address}, which other machines reach");
        let wrong = Problem::Wrong { found: "true".to_owned(), expected, hint: String::new() };
        sink.push(place, format!("upstreams.{}.controls", entry.name), wrong);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{faults, parse};

    fn listening(listen: &str) -> String {
        format!(
            "[server]\nlisten = ['127.0.0.1:8080', '{listen}']\n[[routes]]\npath = '/'\ndialect = 'http'\nupstream = 'd'\n\
             [upstreams.d]\nkind = 'demo'\ncontrols = true\n"
        )
    }

    #[test]
    fn a_page_that_ends_the_process_is_only_for_this_machine() {
        if !cfg!(feature = "demo") {
            return;
        }
        for listen in ["[::1]:8080", "127.0.0.2:80", "unix:/run/p.sock"] {
            assert!(parse(&listening(listen), &[]).unwrap().upstreams["d"].controls, "{listen}");
        }
        for listen in ["0.0.0.0:8081", "[::]:8081", "10.0.0.1:8080"] {
            let told = faults(&listening(listen), &[]);
            assert!(
                told.len() == 1
                    && told[0]
                        .contains("upstreams.d.controls: found true, expected false with server.listen"),
                "{listen}: {told:?}"
            );
        }
        let off = listening("0.0.0.0:8081").replace("controls = true", "controls = false");
        assert!(!parse(&off, &[]).unwrap().upstreams["d"].controls);
    }
}
