//! Reloads under load: a configuration that changes again and again loses nothing and refuses nobody.

use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::dialects::Loads;
use crate::forwards::{self, ForwardLoad};
use crate::http2::Http2Load;
use crate::renewed::Renewed;
use crate::support::{Proxy, free_port};

/// Returns what the configuration has besides all dialects: an upstream of each kind that needs a backend of its own, and TLS.
fn sections(hub: &Proxy, secure: SocketAddr, certificate: &Renewed) -> String {
    let (hub, pages, tls) = (hub.address, forwards::echo(), certificate.line());
    format!(
        "h2c = true\nwatch = 0\n\
         [[listeners]]\nname = 'secure'\nlisten = ['{secure}']\n{tls}\n\
         [[routes]]\npath = '/shared/'\ndialect = 'engine.io'\nupstream = 'm'\n\
         [[routes]]\npath = '/relayed/'\ndialect = 'websocket'\nupstream = 's'\nrelay = true\n\
         [[routes]]\npath = '/pages/'\ndialect = 'http'\nupstream = 'p'\n\
         [upstreams.m]\nkind = 'mux'\nurl = 'ws://{hub}/mux/'\n\
         [upstreams.s]\nkind = 'websocket'\nurl = 'ws://{hub}/websocket/'\n\
         [upstreams.p]\nkind = 'http'\nurl = 'http://{pages}/'\n"
    )
}

#[test]
fn reloads_in_a_row_fail_no_request_and_lose_no_message() {
    // Fifty with 500 sessions in tests/long.
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |count| count.parse().unwrap());
    let (reloads, sessions) = (number("POLLIWOG_RELOADS", 10), number("POLLIWOG_SESSIONS", 96) / 8);
    let (hub, secure, certificate) = (Proxy::hub(), free_port(), Renewed::new());
    let proxy = Proxy::of_all_dialects(&sections(&hub, secure, &certificate));
    let text = fs::read_to_string(proxy.config()).unwrap();
    let seconds = reloads * 3 / 2 + 3;
    let loads = [
        (Loads::start(&proxy, sessions, seconds), 20),
        (Loads::start_behind(&proxy, sessions, seconds), 20),
        (Loads::start_secure(secure, &certificate.ca, 4, seconds), 5),
    ];
    let forwards = ForwardLoad::start(proxy.address, "/pages/", 2);
    let http2 = Http2Load::start(proxy.address, 3, 6);
    proxy.wait_for("polliwog_sessions{", "", 8.0);
    let (first, other) = (format!("listen = ['{}']", proxy.address), free_port());
    let mut resident = Vec::new();
    for count in 1..=reloads {
        // A listener comes and goes, and so do a route and its upstream; the routes in use change their keys.
        let mut next =
            text.replace("upstream = 'w'\n", &format!("upstream = 'w'\nlinger = '{}ms'\n", count % 3));
        if count % 2 == 0 {
            // The address gets another listener's name, so that each connection is followed by another.
            let section = format!("{first}\nh2c = true\n");
            let listener = format!("[[listeners]]\nname = 'other'\n{section}");
            next = next.replace(&section, "h2c = true\n") + &listener;
        } else {
            next = next.replace(&first, &format!("listen = ['{}', '{other}']", proxy.address));
            next = format!(
                "[[routes]]\npath = '/{count}/'\ndialect = 'http'\nupstream = 'n'\n{next}[upstreams.n]\nkind = 'http'\nurl = 'http://127.0.0.1:1/{count}'\n"
            );
        }
        let end = certificate.renew(count);
        fs::write(proxy.config(), next).unwrap();
        proxy.signal("-HUP");
        let deadline = Instant::now() + Duration::from_secs(30);
        while proxy.metric("polliwog_config_reloads", "done") < f64::from(u32::try_from(count).unwrap()) {
            assert!(Instant::now() < deadline, "too late:\n{}", proxy.log());
            // The interval between two checks.
            thread::sleep(Duration::from_millis(10));
        }
        proxy.wait_for("polliwog_certificate_expiry_timestamp_seconds{", "renewed.pem", end);
        resident.push(proxy.resident());
        // Some sessions begin under each of the configurations.
        thread::sleep(Duration::from_millis(800));
    }
    let (http2, forwards) = (http2.finish(), forwards.finish());
    for (load, messages) in loads {
        load.finish(&proxy, reloads * messages);
    }
    // Four clients, each with some requests under each of the configurations.
    assert!(forwards > reloads * 8, "{forwards}");
    assert!(http2.messages > reloads * 18 && http2.moves >= (reloads - 1) * 3, "{http2:?}");
    assert!(proxy.metric("polliwog_config_reloads", "refused") < 0.5, "{}", proxy.log());
    // Once most sessions are there, the rest stays as it is, but for what they still take.
    let (half, last) = (resident[resident.len() / 2], *resident.last().unwrap());
    eprintln!("resident, kB, after each reload: {resident:?}");
    assert!(last < half + half / 5, "{resident:?}");
}
