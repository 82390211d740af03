//! The dialect's own keys of the configuration. What holds without them is what sockjs-node does.

use crate::dialect::keys::{Key, Value};

/// The dialect's own keys.
pub(in crate::dialect) const KEYS: &[Key] = &[
    Key {
        name: "websocket",
        default: "true",
        doc: "whether clients of SockJS may use WebSocket",
        value: Value::Flag(|settings, on| settings.sockjs.websocket = on),
    },
    Key {
        name: "jsonp",
        default: "true",
        doc: "whether they may poll by script tags and send by forms",
        value: Value::Flag(|settings, on| settings.sockjs.jsonp = on),
    },
    Key {
        name: "heartbeat",
        default: "\"25s\"",
        doc: "how often each receiver of SockJS gets an h, or a ping",
        value: Value::Time(|settings, every| settings.sockjs.heartbeat = every),
    },
    Key {
        name: "disconnect_delay",
        default: "\"5s\"",
        doc: "how long a client of SockJS may be without a receiver",
        value: Value::Time(|settings, delay| settings.sockjs.disconnect_delay = delay),
    },
    Key {
        name: "response_limit",
        default: "\"128KiB\"",
        doc: "after how many characters a stream ends; its client comes back",
        value: Value::Size(|settings, limit| settings.sockjs.response_limit = limit),
    },
    Key {
        name: "cookie_needed",
        default: "false",
        doc: "whether a balancer in front needs a cookie JSESSIONID",
        value: Value::Flag(|settings, on| settings.sockjs.cookie_needed = on),
    },
    Key {
        name: "client_url",
        default: "\"\"",
        doc: "where the iframe of old browsers gets sockjs-client; \"\": none",
        value: Value::Text(|settings, url| settings.sockjs.client_url = (!url.is_empty()).then_some(url)),
    },
    Key {
        name: "base_url",
        default: "\"\"",
        doc: "where /info sends clients; \"\": here",
        value: Value::Text(|settings, url| settings.sockjs.base_url = (!url.is_empty()).then_some(url)),
    },
];
