//! A disk that is full: nothing of a certificate can be kept, and the ACME server is left alone between attempts.

use std::fs;
use std::path::PathBuf;
use std::thread;

use super::pebble::{Pebble, is_missing};
use super::{LONG, Storage, issued, logged, refuse, setup};
use crate::support::target::{Target, free_port};
use crate::support::{World, ms};

#[test]
fn a_full_disk_holds_nobody_up_and_hurries_no_order() {
    if is_missing() {
        return;
    }
    let (secure, storage) = (free_port(), Storage::new("full"));
    let pebble = Pebble::start(secure.port(), LONG);
    let (at, folder) = (storage.0.display(), pebble.folder(&storage.0));
    fs::create_dir_all(&storage.0).unwrap();
    // What an earlier process has kept of its attempts is due, and cannot be replaced.
    let before = format!(
        "exec unshare -rm sh -c 'mount -t tmpfs -o size=64k none {at}; mkdir -m 700 {folder}; \
         echo 0 1 0 > {folder}/a.test.failed; cat /dev/zero > {at}/filler 2> /dev/null; exec \"$0\" \"$@\"' \"$0\" \"$@\";",
        folder = folder.display(),
    );
    let world = World::start_with(&setup(secure, &pebble.acme(&["a.test"], &storage.0)), |setup, backend| {
        Target::proxy_in(|_| {}, &before, |public, admin| setup.toml(public, admin, backend))
    });
    logged(&world, &[" WARN ", "no certificate was issued", "os error 28", "failures=1"]);
    world.assert_healthy();
    refuse(secure, "a.test");
    // Less than the pause behind a failure, and enough for many attempts.
    thread::sleep(ms(2000));
    assert_eq!(world.log().matches("a certificate is ordered").count(), 1, "{}", world.log());
    // Inside its namespace, where the disk is.
    let inside = PathBuf::from(format!("/proc/{}/root", world.target.id()));
    fs::remove_file(inside.join(storage.0.join("filler").strip_prefix("/").unwrap())).unwrap();
    issued(&world, secure, "a.test", &pebble.root(), None);
}
