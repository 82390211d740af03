//! Where the packages of Cargo.lock come from. `deny.toml` allows registries and repositories; paths it can't see.

/// Returns a fault for each package, the crate itself aside, that doesn't come from crates.io.
pub(crate) fn lock_faults(lock: &str) -> Vec<String> {
    lock.split("[[package]]\n")
        .skip(1)
        .filter_map(|package| {
            let field = |key| {
                package
                    .lines()
                    .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'))
            };
            let name = field("name").unwrap_or("a package without a name");
            let source = field("source");
            let is_ours = OURS.contains(&name) && source.is_none();
            (!is_ours && !source.is_some_and(is_crates_io)).then(|| {
                format!("Cargo.lock: {name} comes from {} and not from crates.io", source.unwrap_or("a path"))
            })
        })
        .collect()
}

/// The proxy, and its fuzz targets, which have a Cargo.lock of their own.
const OURS: [&str; 2] = [env!("CARGO_PKG_NAME"), "polliwog-fuzz"];

/// Returns whether a source is the registry's index, whose address Cargo writes the same for every mirror.
fn is_crates_io(source: &str) -> bool {
    source.starts_with("registry+") && source.ends_with("/crates.io-index")
}
