//! `[[listeners]]` beside the short form in `[server]`, and the routes at them.

use super::*;

const ROUTE: &str = "[[routes]]\npath = '/'\ndialect = 'http'\nupstream = 'u'\n";
const UPSTREAM: &str = "[upstreams.u]\nkind = 'http'\nurl = 'http://h/'\n";

fn read(text: &str) -> Result<Config, String> {
    let text = format!("{text}{}{UPSTREAM}", if text.contains("[[routes]]") { "" } else { ROUTE });
    Config::parse(&text, "config.toml", std::iter::empty()).map_err(|faults| faults.to_string())
}

/// Returns each listener with its addresses.
fn listeners(text: &str) -> Vec<String> {
    let config = read(text).unwrap_or_else(|faults| panic!("{text}{faults}"));
    let shown = |one: &crate::server::ListenerSettings| {
        let addresses: Vec<_> = one.listen.iter().map(ToString::to_string).collect();
        format!("{} [{}]{}", one.name, addresses.join(", "), if one.tls.is_some() { " tls" } else { "" })
    };
    config.server.listeners.iter().map(shown).collect()
}

const PUBLIC: &str = "[[listeners]]\nname = 'public'\nlisten = '0.0.0.0:443'\n\
                      tls = { certificate = 'c', key = 'k' }\n";

#[test]
fn the_short_form_is_a_listener_called_default() {
    assert_eq!(listeners(""), ["default [127.0.0.1:8080]"]);
    assert_eq!(listeners("[server]\nmax_sessions = 1\n"), ["default [127.0.0.1:8080]"]);
    assert_eq!(listeners(PUBLIC), ["public [0.0.0.0:443] tls"]);
    assert_eq!(listeners(&format!("[server]\nmax_sessions = 1\n{PUBLIC}")), ["public [0.0.0.0:443] tls"]);
    assert_eq!(
        listeners(&format!("[server]\nlisten = '127.0.0.1:80'\n{PUBLIC}")),
        ["default [127.0.0.1:80]", "public [0.0.0.0:443] tls"]
    );
    assert_eq!(listeners(&PUBLIC.replace("public", "default")), ["default [0.0.0.0:443] tls"]);
}

#[test]
fn each_listener_may_say_itself_whether_http2_is_spoken() {
    let spoken = |text: &str| -> Vec<_> {
        let config = read(text).unwrap_or_else(|faults| panic!("{text}{faults}"));
        config.server.listeners.iter().map(|one| (one.http2, one.h2c)).collect()
    };
    let plain = "[[listeners]]\nname = 'b'\nlisten = '127.0.0.1:1'\n";
    let server = "[server]\nhttp2 = false\nh2c = true\n";
    assert_eq!(spoken(PUBLIC), [(true, false)]);
    assert_eq!(spoken(&format!("{server}{PUBLIC}{plain}")), [(false, true); 2]);
    let all = format!("{server}listen = '127.0.0.1:2'\n{PUBLIC}http2 = true\n{plain}h2c = false\n");
    assert_eq!(spoken(&all), [(false, true), (true, true), (false, false)]);
}

#[test]
fn listeners_that_cannot_be_together_are_faults() {
    let second = |lines: &str| format!("{PUBLIC}[[listeners]]\n{lines}\n");
    for (text, said) in [
        (
            second("name = 'public'\nlisten = '127.0.0.1:1'"),
            "listeners[1].name: found \"public\", expected a name of its own",
        ),
        (
            format!("[server]\nlisten = '127.0.0.1:1'\n{}", PUBLIC.replace("public", "default")),
            "that of [server] is called so",
        ),
        (
            second("name = 'b'\nlisten = ['127.0.0.1:1', '127.0.0.1:443']"),
            "listeners[1].listen[1]: found \"127.0.0.1:443\", expected an address of its own, listeners[0].listen has 0.0.0.0:443",
        ),
        (
            format!("{PUBLIC}h2c = true\n"),
            "listeners[0].h2c: means nothing with tls: http2 is for its clients",
        ),
        (
            second("name = 'b'\nlisten = '127.0.0.1:1'\nhttp2 = true"),
            "listeners[1].http2: means nothing without tls: h2c is for clients without it",
        ),
        (
            second("name = 'b'\nlisten = '[::]:443'"),
            "listeners[1].listen[0]: found \"[::]:443\", expected an address of its own",
        ),
        (
            format!("[admin]\nlisten = '127.0.0.1:443'\n{PUBLIC}"),
            "admin.listen: found \"127.0.0.1:443\", expected an address of its own, listeners[0].listen has",
        ),
        (second("name = 'b'"), "listeners[1].listen: missing"),
        (second("listen = '127.0.0.1:1'"), "listeners[1].name: missing"),
        (
            second("name = 'a.b'\nlisten = '127.0.0.1:1'"),
            "listeners[1].name: found \"a.b\", expected a name of 1 to 32 letters",
        ),
        (second("name = ''\nlisten = '127.0.0.1:1'"), "found \"\", expected a name of 1 to 32 letters"),
        (
            "[listeners]\nname = 'a'\n".to_owned(),
            "listeners: found a table, expected a list of tables, each under [[listeners]]",
        ),
        (
            format!("[server]\ntls = {{ certificate = 'c', key = 'k' }}\n{PUBLIC}"),
            "server.tls: means nothing without listen beside [[listeners]]",
        ),
        (
            PUBLIC.replace("key = 'k'", "kee = 'k'"),
            "listeners[0].tls.kee: unknown key; did you mean \"key\"?",
        ),
        (
            format!("{PUBLIC}{ROUTE}listener = 'pubic'\n"),
            "routes[0].listener: found \"pubic\", expected the name of a listener: public; did you mean \"public\"?",
        ),
        (format!("{PUBLIC}{ROUTE}listener = ['public', 'b']\n"), "routes[0].listener[1]: found \"b\""),
    ] {
        let faults = read(&text).expect_err(&text);
        assert!(faults.contains(said), "{said}\n{faults}");
        assert_eq!(faults.matches("config.toml:").count(), 1, "{faults}");
    }
    for text in [format!("{PUBLIC}proxy_protocol = true\n"), "[server]\nproxy_protocol = true\n".to_owned()] {
        let faults = read(&text).expect_err(&text);
        assert!(
            faults.contains("proxy_protocol: found true, expected server.trusted_proxies beside it"),
            "{faults}"
        );
        let trusting = |proxies: &str, text: &str| {
            read(&format!("[server]\ntrusted_proxies = {proxies}\n{}", text.replace("[server]\n", "")))
        };
        trusting("'10.0.0.1'", &text).unwrap();
        // Nobody else can come there, and nobody who can is trusted.
        let faults = trusting("'unix'", &text).unwrap_err();
        assert!(faults.contains("expected a network in server.trusted_proxies: nobody else"), "{faults}");
    }
    let local = "[server]\nlisten = ['127.0.0.1:1', 'unix:/run/a.sock']\nproxy_protocol = true\n";
    read(&format!("{local}trusted_proxies = ['10.0.0.1', 'unix']\n")).unwrap();
    let faults = read(&format!("{local}trusted_proxies = '0.0.0.0/0'\n")).unwrap_err();
    assert!(
        faults.contains(
            "proxy_protocol: found true, expected \"unix\" in server.trusted_proxies: nobody else connects to unix:/run/a.sock"
        ),
        "{faults}"
    );
    // Without IPv4, both can be bound.
    listeners(&second("name = 'b'\nlisten = '[::]:443'\nonly_v6 = true"));
}

#[test]
fn an_upstream_at_an_address_that_only_ipv6_has_is_another_server() {
    let text = |more| {
        format!(
            "[[listeners]]\nname = 'a'\nlisten = '[::]:8080'\n{more}{ROUTE}[upstreams.u]\nkind = 'http'\n\
             url = 'http://127.0.0.1:8080/'\n"
        )
    };
    let parse = |text: &str| Config::parse(text, "config.toml", std::iter::empty());
    assert!(parse(&text("only_v6 = true\n")).is_ok());
    let faults = parse(&text("")).unwrap_err().to_string();
    assert!(
        faults.contains("another server than this one, whose listeners[0].listen has [::]:8080"),
        "{faults}"
    );
}

#[test]
fn the_same_path_is_another_route_at_another_listener() {
    let two = format!("{PUBLIC}[[listeners]]\nname = 'b'\nlisten = '127.0.0.1:1'\n");
    let config = |first: &str, second: &str| read(&format!("{two}{ROUTE}{first}\n{ROUTE}{second}\n"));
    let routes = config("listener = 'public'", "listener = 'b'").unwrap().routes;
    assert_ne!(routes[0].id(), routes[1].id());
    for (first, second) in
        [("", "listener = 'b'"), ("listener = ['b', 'public']", "listener = 'b'"), ("listener = 'b'", "")]
    {
        let faults = config(first, second).unwrap_err();
        assert!(faults.contains("expected a path and host of its own, routes[0] has the same"), "{faults}");
    }
    let config = read(&format!("{two}{ROUTE}listener = 'b'\n")).unwrap();
    assert_eq!(config.idle_listeners().map(|one| &*one.name).collect::<Vec<_>>(), ["public"]);
}

#[test]
fn a_socket_has_an_absolute_path_that_the_kernel_has_room_for() {
    let listen = |text: &str| format!("[server]\nlisten = [{text}]\n");
    assert_eq!(
        listeners(&listen("'unix:/run/a b.sock', '127.0.0.1:1'")),
        ["default [unix:/run/a b.sock, 127.0.0.1:1]"]
    );
    let long = format!("'unix:/{}'", "x".repeat(107));
    assert!(read(&listen(&format!("'unix:/{}'", "x".repeat(106)))).is_ok());
    for (text, said) in [
        ("'unix:run/a.sock'", "did you mean \"unix:/run/a.sock\""),
        ("'/run/a.sock'", "did you mean \"unix:/run/a.sock\""),
        ("'unix:'", "an absolute path of at most 107 bytes"),
        ("'unix:/run/'", "an absolute path of at most 107 bytes"),
        (&*long, "an absolute path of at most 107 bytes"),
        ("'unix:/a', 'unix:/a'", "addresses that do not overlap"),
        ("'127.0.0.1:1']\nsocket_mode = ['0600'", "an octal mode"),
        ("'unix:/a']\nsocket_mode = '0999'\ntrusted_proxies = ['unix'", "an octal mode"),
        ("'unix:/a']\nsocket_mode = 660\ntrusted_proxies = ['unix'", "an octal mode"),
    ] {
        let faults = read(&listen(text)).unwrap_err();
        assert!(faults.contains(said), "{text}: {faults}");
    }
}

/// Fails unless this is the one fault of the text.
#[track_caller]
fn assert_fault(text: &str, said: &str) {
    let faults = read(text).unwrap_err();
    assert!(faults.lines().count() == 1 && faults.contains(said), "{text}{faults}");
}

#[test]
fn a_route_at_no_listener_is_a_fault() {
    let at = |listeners: &str| format!("{ROUTE}listener = {listeners}\n");
    assert_fault(
        &at("[]"),
        "routes[0].listener: found an empty list, expected at least one listener; without this key it is at all of them",
    );
    assert_fault(
        &at("['default', 'default']"),
        "routes[0].listener[1]: found \"default\", expected each listener once",
    );
    assert!(read(&at("['default']")).is_ok());
}

#[test]
fn what_no_address_of_a_listener_can_have_is_a_fault() {
    let listener = |lines: &str| format!("[[listeners]]\nname = 'a'\n{lines}\n");
    let only_v6 = "listeners[0].only_v6: means nothing without an address of IPv6 in listen; remove it";
    assert_fault(&listener("listen = ['127.0.0.1:1', 'unix:/a']\nonly_v6 = true"), only_v6);
    assert!(read(&listener("listen = ['127.0.0.1:1', '[::]:1']\nonly_v6 = true")).is_ok());
    let mode = "socket_mode: means nothing without an address such as \"unix:/PATH\" in listen; remove it";
    assert_fault(&listener("listen = ['127.0.0.1:1']\nsocket_mode = '0600'"), mode);
    assert_fault("[server]\nsocket_mode = '0600'\n", mode);
    assert_fault("[admin]\nsocket_mode = '0600'\n", mode);
    assert!(read(&listener("listen = ['127.0.0.1:1', 'unix:/a']\nsocket_mode = '0600'")).is_ok());
    assert!(read("[admin]\nlisten = 'unix:/a'\nsocket_mode = '0600'\n").is_ok());
}

#[test]
fn an_admin_listener_that_others_reach_should_have_a_token() {
    let warns =
        |admin: &str| parse(&format!("{GOOD}[admin]\n{admin}\n"), &[]).unwrap().admin_is_open().is_some();
    for (admin, expected) in [
        ("listen = '0.0.0.0:9090'", true),
        ("listen = '10.0.0.1:9090'", true),
        ("listen = '10.0.0.1:9090'\ntoken = 'secret-of-operators'", false),
        ("listen = '127.0.0.2:9090'", false),
        ("listen = '[::1]:9090'", false),
        ("listen = 'unix:/run/admin.sock'", false),
        ("", false),
    ] {
        assert_eq!(warns(admin), expected, "{admin}");
    }
}

#[test]
fn h2c_is_in_vain_where_every_client_has_tls() {
    let tls = "[server]\ntls = { certificate = 'c', key = 'k' }\nh2c = true\n";
    assert_fault(tls, "server.h2c: means nothing with tls: http2 is for its clients; remove it");
    // As a variable, it may be for several processes.
    let file = format!("{}{ROUTE}{UPSTREAM}", tls.replace("h2c = true\n", ""));
    assert!(parse(&file, &[("POLLIWOG_SERVER__H2C", "true")]).is_ok());
    // Here it is for the other one.
    let both = format!("{tls}listen = '127.0.0.1:2'\n[[listeners]]\nname = 'a'\nlisten = '127.0.0.1:1'\n");
    assert!(read(&both).is_ok());
}
