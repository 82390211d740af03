//! Ways around an auth server: other spellings of a path, and what clients say of themselves elsewhere.

use super::{LIES, Plain, application, ask, asking, gate, header};
use crate::support::http::Response;
use crate::support::target::Target;
use crate::support::{Setup, World};

/// Starts a proxy with an open route for everything, and one below that asks; both have the same backend.
fn start(auth: &str, app: &Plain, server: &str) -> World {
    let sections = format!(
        "[[routes]]\npath = \"/open/\"\ndialect = \"http\"\nupstream = \"app\"\n\
         [[routes]]\npath = \"/open/admin/\"\ndialect = \"http\"\nupstream = \"app\"\nauth = {auth}\n\
         [upstreams.app]\nkind = \"http\"\nurl = \"http://{}\"\n",
        app.addr
    );
    World::start_with(&Setup { sections, ..Setup::plain() }.server(server), Target::proxy)
}

#[test]
fn a_guarded_path_is_guarded_however_it_is_written() {
    let (gate, app) = (Plain::serve(gate), Plain::serve(application));
    let world = start(&asking(&gate), &app, "");
    let get = |path: &str| -> Response { world.http().request("GET", &format!("/open{path}"), &[], b"") };
    for path in ["/admin/", "/admin/s", "/admin", "/admin?a=b"] {
        assert_eq!(get(path).status, 401, "{path}");
        gate.next();
    }
    for path in [
        "/%61dmin/s",
        "//admin/s",
        "/admin%2fs",
        "/admin;x/s",
        "/admin;/s",
        "/admin;x",
        "/;/admin/s",
        "/;x=1/admin/s",
        "/admin;x%2f..%2f..%2fb/s",
        "/%61dmin;x%2fy/s",
        "/admin%3bx/s",
        "/a/..;/admin/s",
        "/admin/;/../s",
    ] {
        get(path).assert(400, "the path leaves its route\n");
    }
    for path in ["/a;x=1/s", "/administration", "/"] {
        get(path).assert(200, "fine");
        assert_eq!(app.next()[0], format!("GET {path} HTTP/1.1"));
    }
    ask(&world, "GET", "/open/admin", "user=ada").assert(200, "fine");
    assert_eq!(app.next()[0], "GET / HTTP/1.1");
    gate.next();
    gate.assert_no_more();
    app.assert_no_more();
}

#[test]
fn what_an_auth_server_says_of_clients_no_client_says_of_itself_at_any_route() {
    let (gate, app) = (Plain::serve(gate), Plain::serve(application));
    let world = start(&asking(&gate), &app, "");
    ask(&world, "GET", "/open/a", "user=ada").assert(200, "fine");
    let seen = app.next();
    for (name, _) in LIES {
        assert_eq!(header(&seen, name), None, "{seen:?}");
    }
    gate.assert_no_more();
}

#[test]
fn behind_a_trusted_proxy_no_client_tells_the_auth_server_another_request() {
    let (gate, app) = (Plain::serve(gate), Plain::serve(application));
    let world = start(&asking(&gate), &app, "trusted_proxies = [\"127.0.0.1\"]");
    let mut headers = vec![
        ("Cookie", "user=ada"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("X_Forwarded_For", "10.9.9.9"),
        ("X_Forwarded_Proto", "gopher"),
        ("X-Forwarded-Uri", "/public"),
        ("X_Forwarded_Uri", "/public"),
        ("X_Forwarded_Method", "HEAD"),
        ("X-Original-URL", "/public"),
        ("X_Original_URI", "/public"),
        ("X-Rewrite-Url", "/public"),
        ("X_Own", "1"),
    ];
    headers.extend(LIES.iter().filter(|(name, _)| *name != "Connection"));
    world.http().request("DELETE", "/open/admin/a", &headers, b"").assert(200, "fine");
    let asked = gate.next();
    let named = |lines: &[String], name: &str| {
        let lines = lines.iter().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(found, _)| found.replace('_', "-").eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .collect::<Vec<_>>()
    };
    for (name, values) in [
        ("x-forwarded-uri", &["/open/admin/a"][..]),
        ("x-forwarded-method", &["DELETE"]),
        ("x-original-url", &[]),
        ("x-original-uri", &[]),
        ("x-rewrite-url", &[]),
        ("x-user", &[]),
        ("x-groups", &[]),
        ("x-own", &["1"]),
    ] {
        assert_eq!(named(&asked, name), values, "{name}: {asked:?}");
    }
    let seen = app.next();
    for lines in [&asked, &seen] {
        assert_eq!(named(lines, "x-forwarded-for"), ["203.0.113.9, 127.0.0.1"], "{lines:?}");
        assert_eq!(named(lines, "x-forwarded-proto").len(), 1, "{lines:?}");
    }
    assert_eq!(named(&seen, "x-user"), ["ada"]);
}
