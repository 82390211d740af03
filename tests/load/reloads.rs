//! Reloads under load: a configuration that changes again and again loses nothing and refuses nobody.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::dialects::Loads;
use crate::http2::Http2Load;
use crate::support::{Proxy, free_port};

#[test]
fn reloads_in_a_row_fail_no_request_and_lose_no_message() {
    // Fifty with 500 sessions in tests/long.
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |count| count.parse().unwrap());
    let (reloads, sessions) = (number("POLLIWOG_RELOADS", 10), number("POLLIWOG_SESSIONS", 96) / 6);
    let proxy = Proxy::of_all_dialects("h2c = true");
    let text = fs::read_to_string(proxy.config()).unwrap();
    let loads = Loads::start(&proxy, sessions, reloads * 3 / 2 + 3);
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
        fs::write(proxy.config(), next).unwrap();
        proxy.signal("-HUP");
        let deadline = Instant::now() + Duration::from_secs(30);
        while proxy.metric("polliwog_config_reloads", "done") < f64::from(u32::try_from(count).unwrap()) {
            assert!(Instant::now() < deadline, "too late:\n{}", proxy.log());
            // The interval between two checks.
            thread::sleep(Duration::from_millis(10));
        }
        resident.push(proxy.resident());
        // Some sessions begin under each of the configurations.
        thread::sleep(Duration::from_millis(800));
    }
    let http2 = http2.finish();
    loads.finish(&proxy, reloads * 20);
    assert!(http2.messages > reloads * 18 && http2.moves >= (reloads - 1) * 3, "{http2:?}");
    assert!(proxy.metric("polliwog_config_reloads", "refused") < 0.5, "{}", proxy.log());
    // Once all sessions are there, the rest stays as it is.
    let (half, last) = (resident[resident.len() / 2], *resident.last().unwrap());
    eprintln!("resident, kB, after each reload: {resident:?}");
    assert!(reloads < 30 || last < half + half / 5, "{resident:?}");
}
