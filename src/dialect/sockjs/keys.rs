//! The dialect's own keys of the configuration. What holds without them is what sockjs-node does.

use super::settings::Binary;
use crate::dialect::keys::{Key, Value};

/// The dialect's own keys.
pub(in crate::dialect) const KEYS: &[Key] = &[
    Key {
        name: "websocket",
        default: "true",
        doc: "whether SockJS clients may use WebSocket",
        value: Value::Flag(|settings, on| settings.sockjs.websocket = on),
    },
    Key {
        name: "jsonp",
        default: "true",
        doc: "whether SockJS clients may use script tags and forms (JSONP)",
        value: Value::Flag(|settings, on| settings.sockjs.jsonp = on),
    },
    Key {
        name: "heartbeat",
        default: "\"25s\"",
        doc: "interval of SockJS heartbeats (h, or a ping)",
        value: Value::Time(|settings, every| settings.sockjs.heartbeat = every),
    },
    Key {
        name: "disconnect_delay",
        default: "\"5s\"",
        doc: "how long a SockJS client may be without a receiver",
        value: Value::Time(|settings, delay| settings.sockjs.disconnect_delay = delay),
    },
    Key {
        name: "response_limit",
        default: "\"128KiB\"",
        doc: "characters after which a stream ends; the client reconnects",
        value: Value::Size(|settings, limit| settings.sockjs.response_limit = limit),
    },
    Key {
        name: "cookie_needed",
        default: "false",
        doc: "set the cookie JSESSIONID, for load balancers",
        value: Value::Flag(|settings, on| settings.sockjs.cookie_needed = on),
    },
    Key {
        name: "client_url",
        default: "\"\"",
        doc: "URL of sockjs-client for old browsers' iframe; \"\": none",
        value: Value::Text(|settings, url| settings.sockjs.client_url = (!url.is_empty()).then_some(url)),
    },
    Key {
        name: "base_url",
        default: "\"\"",
        doc: "base URL that SockJS's /info announces; \"\": none",
        value: Value::Text(|settings, url| settings.sockjs.base_url = (!url.is_empty()).then_some(url)),
    },
    Key {
        name: "subprotocol",
        default: "\"\"",
        doc: "subprotocol to offer the backend of a SockJS client; \"\": none",
        value: Value::Token("v12.stomp", |settings, name| settings.sockjs.subprotocol = name),
    },
    Key {
        name: "binary",
        default: "\"text\"",
        doc: "binary messages with SockJS clients: text, base64, base64-both",
        value: Value::Word(&[
            ("text", |settings| settings.sockjs.binary = Binary::Text),
            ("base64", |settings| settings.sockjs.binary = Binary::Base64),
            ("base64-both", |settings| settings.sockjs.binary = Binary::Base64Both),
        ]),
    },
    Key {
        name: "refuse",
        default: "\"status\"",
        doc: "a backend's 4xx to a SockJS client: status, or close with 4xxx",
        value: Value::Word(&[
            ("status", |settings| settings.sockjs.closes_refused = false),
            ("close", |settings| settings.sockjs.closes_refused = true),
        ]),
    },
];
