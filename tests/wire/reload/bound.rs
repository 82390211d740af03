//! What is bound stays as it is: what only a restart changes of a listener.

use super::*;

/// Fails unless the reload is refused for this one reason, and `check --against` says the same before it.
#[track_caller]
fn refused(world: &World, from: &str, to: &str) -> (String, String) {
    let faults = world.refused(from, to);
    assert_eq!(faults.len(), 1, "{faults:?}");
    let text = |what: &str| faults[0][what].as_str().unwrap_or_else(|| panic!("{faults:?}")).to_owned();
    let (place, key, problem) = (text("place"), text("key"), text("problem"));
    let (code, told) = world.check_against(&world.config().replace(from, to));
    assert_eq!(code, 78, "{told}");
    let (_, place) = place.rsplit_once("config.toml:").unwrap();
    let line = format!("next.toml:{place}: {key}: {problem}\n");
    assert!(told.ends_with(&line), "{told} instead of {line}");
    (key, problem)
}

#[test]
fn what_only_a_restart_changes_of_a_listener_is_a_fault_of_its_key_in_check_too() {
    let (one, two) = (free_port(), free_port().port());
    let all = format!("listen = \"[::]:{two}\"");
    // The path of a socket must be short.
    let socket = std::env::temp_dir().join(format!("polliwog-bound-{two}.sock"));
    let file = format!("listen = \"unix:{}\"", socket.display());
    let listener = |name: &str, listen: &str| format!("[[listeners]]\nname = \"{name}\"\n{listen}\n");
    let one_listen = format!("listen = [\"{one}\"]");
    let sections = listener("all", &all) + &listener("file", &file) + &listener("one", &one_listen);
    let world = start(&Setup { sections, ..Setup::new() });
    let fixed = "changes only at a restart".to_owned();

    let found = refused(&world, &all, &format!("{all}\nonly_v6 = true"));
    assert_eq!(found, ("listeners[0].only_v6".to_owned(), fixed.clone()));
    let found = refused(&world, &file, &format!("{file}\nsocket_mode = \"0600\""));
    assert_eq!(found, ("listeners[1].socket_mode".to_owned(), fixed));
    let port = one.port();
    let overlap = |wanted: &str, bound: &str| {
        format!("{wanted} overlaps {bound}, which is bound: that needs a restart, or an address in between")
    };
    let everywhere = format!("0.0.0.0:{port}");
    let found = refused(&world, &one_listen, &format!("listen = [\"{everywhere}\"]"));
    assert_eq!(found, ("listeners[2].listen[0]".to_owned(), overlap(&everywhere, &one.to_string())));
    let (narrow, wide) = (format!("127.0.0.1:{two}"), format!("[::]:{two}"));
    let found = refused(&world, &all, &format!("listen = \"{narrow}\""));
    assert_eq!(found, ("listeners[0].listen".to_owned(), overlap(&narrow, &wide)));

    // What both allow: other addresses, an address of another listener, and the way over one in between.
    let swapped = world.config().replace("\"one\"", "\"uno\"");
    let (code, told) = world.check_against(&swapped);
    assert_eq!(code, 0, "{told}");
    world.change("\"one\"", "\"uno\"");
    let between = format!("listen = [\"{}\"]", free_port());
    world.change(&one_listen, &between);
    world.change(&between, &format!("listen = [\"{everywhere}\"]"));
    let _gone = fs::remove_file(socket);
}
