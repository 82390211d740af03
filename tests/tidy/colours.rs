//! The pages that are looked at together, the live page, the dashboard and the load report, have the same colours.

use std::collections::BTreeMap;

use crate::assert_none;
use crate::tree::read;

/// The style sheets, and how their names become those of the last one.
const SHEETS: [(&str, &[(&str, &str)]); 3] = [
    ("src/upstream/demo/palette.css", &[("-envelope", "-pale"), ("-text", ""), ("hairline", "line")]),
    ("src/load/report/page.css", &[("hair", "line")]),
    ("src/service/admin/page/page.css", &[]),
];

/// Colours by their names: of the light scheme, then of the dark one.
type Colours = [BTreeMap<String, String>; 2];

#[test]
fn the_pages_and_the_load_report_have_the_same_colours() {
    let sheets = SHEETS.map(|(file, names)| (file, colours(&read(file), names)));
    let count = |sheet: &Colours| sheet.iter().map(BTreeMap::len).collect::<Vec<_>>();
    for (file, sheet) in &sheets {
        assert!(count(sheet).iter().all(|count| *count >= 19), "{file}: {:?}", count(sheet));
    }
    let [live, report, dashboard] = &sheets;
    let pairs = [(live, report), (live, dashboard), (report, dashboard)];
    assert_none(pairs.into_iter().flat_map(|(one, other)| colour_faults(one, other)));
}

/// Returns the colours that a style sheet declares; what is computed from others is none.
fn colours(text: &str, names: &[(&str, &str)]) -> Colours {
    let (light, dark) = text.split_once("prefers-color-scheme: dark").expect("it has both schemes");
    [light, dark].map(|scheme| {
        let declared =
            scheme.split(['{', '}', ';']).filter_map(|one| one.trim().strip_prefix("--")?.split_once(':'));
        let colours = declared.filter(|(_, value)| value.trim().starts_with('#'));
        let shared = |name: &str| {
            let suffix =
                names.iter().find_map(|(own, others)| Some(name.strip_suffix(own)?.to_owned() + others));
            suffix.unwrap_or_else(|| name.to_owned())
        };
        colours.map(|(name, value)| (shared(name), value.trim().to_ascii_lowercase())).collect()
    })
}

/// Returns a fault for each colour that two style sheets declare otherwise.
fn colour_faults((file, one): &(&str, Colours), (other_file, other): &(&str, Colours)) -> Vec<String> {
    let mut faults = Vec::new();
    for (scheme, (one, other)) in ["light", "dark"].iter().zip(one.iter().zip(other)) {
        for (name, value) in one {
            if let Some(others) = other.get(name).filter(|others| *others != value) {
                faults.push(format!(
                    "{file}: --{name} is {value} where it is {scheme}, {others} in {other_file}"
                ));
            }
        }
    }
    faults
}

#[test]
fn a_colour_that_differs_in_one_scheme_is_found() {
    let sheet = |dark: &str| {
        let text = format!(
            ":root {{ --ink: #111; --line: var(--ink); }} @media (prefers-color-scheme: dark) {{ :root {{ --ink-text: {dark} }} }}"
        );
        ("a.css", colours(&text, &[("-text", "")]))
    };
    assert_eq!(colour_faults(&sheet("#EEE"), &sheet("#eee")), [""; 0]);
    assert_eq!(colour_faults(&sheet("#eee"), &sheet("#ddd")).len(), 1);
}
