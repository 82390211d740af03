//! Each trouble by name: why it comes, and the lines that mend it.
//!
//! A line that begins with `#` is a comment in each of the five: so every remedy can be pasted as it stands.

/// What can be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Trouble {
    /// Nothing at the URL speaks the clients' protocol.
    Handshake,
    /// A request of a session reaches a server that does not have it.
    Stickiness,
    /// A request of a session is refused.
    Refused,
    /// What a server sends is held back.
    Buffering,
    /// A waiting poll is ended.
    PollTimeout,
    /// A silent WebSocket is ended.
    WebSocketTimeout,
    /// A WebSocket cannot be asked for.
    UpgradeBlocked,
    /// The handshake of a WebSocket loses headers.
    UpgradeStripped,
    /// A WebSocket carries no frames.
    Frames,
    /// A POST that the server would take is refused.
    PayloadLimit,
    /// A cache answers, or may.
    Cached,
    /// A response is compressed otherwise than it says.
    Compression,
    /// The times of responses don't fit together.
    Clock,
    /// Pages of an origin may not connect.
    Cors,
    /// Two places allow an origin.
    CorsTwice,
    /// A browser does not send the cookie of sessions back.
    Cookie,
    /// HTTP/2, or WebSocket over it, is announced and does not work.
    Http2,
}

/// Lines for the five proxies that stand before most servers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remedy {
    /// In the `location`, or in the `upstream` where that is said.
    pub(super) nginx: &'static str,
    /// In the `backend`.
    pub(super) haproxy: &'static str,
    /// Labels of the container, or arguments of Traefik where they begin with `--`.
    pub(super) traefik: &'static str,
    /// In the block of `reverse_proxy`.
    pub(super) caddy: &'static str,
    /// Annotations of the Ingress of Kubernetes' ingress-nginx.
    pub(super) ingress_nginx: &'static str,
}

impl Remedy {
    /// Returns the name of each proxy in a report and in JSON, with its lines.
    pub(super) const fn rows(&self) -> [(&'static str, &'static str, &'static str); 5] {
        [
            ("nginx", "nginx", self.nginx),
            ("HAProxy", "haproxy", self.haproxy),
            ("Traefik", "traefik", self.traefik),
            ("Caddy", "caddy", self.caddy),
            ("ingress-nginx", "ingress_nginx", self.ingress_nginx),
        ]
    }
}

impl Trouble {
    /// Every variant, in the order of declaration.
    #[cfg(test)]
    pub(super) const ALL: [Self; 17] = [
        Self::Handshake,
        Self::Stickiness,
        Self::Refused,
        Self::Buffering,
        Self::PollTimeout,
        Self::WebSocketTimeout,
        Self::UpgradeBlocked,
        Self::UpgradeStripped,
        Self::Frames,
        Self::PayloadLimit,
        Self::Cached,
        Self::Compression,
        Self::Clock,
        Self::Cors,
        Self::CorsTwice,
        Self::Cookie,
        Self::Http2,
    ];

    /// Returns its name in JSON.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Stickiness => "stickiness",
            Self::Refused => "refused",
            Self::Buffering => "buffering",
            Self::PollTimeout => "poll-timeout",
            Self::WebSocketTimeout => "websocket-timeout",
            Self::UpgradeBlocked => "upgrade-blocked",
            Self::UpgradeStripped => "upgrade-stripped",
            Self::Frames => "frames",
            Self::PayloadLimit => "payload-limit",
            Self::Cached => "cached",
            Self::Compression => "compression",
            Self::Clock => "clock",
            Self::Cors => "cors",
            Self::CorsTwice => "cors-twice",
            Self::Cookie => "cookie",
            Self::Http2 => "http2",
        }
    }

    /// Returns why it comes, and what it does to clients.
    pub(super) const fn cause(self) -> &'static str {
        match self {
            Self::Handshake => {
                "No server that speaks the clients' protocol answers at this path. Either the path is another one \
                 (--path), or a proxy sends it elsewhere, or the server is down. Clients cannot connect at all."
            }
            Self::Stickiness => {
                "A session lives in one server, and a balancer sends its requests to others. Clients connect, fail \
                 with 400 or 404 and connect again. Send each client to the same server, or put Polliwog in \
                 front of the servers: any of its nodes finds the session."
            }
            Self::Refused => {
                "The session is known, yet its request is refused. A client polls by GET and sends by POST, both at \
                 once on two connections: something allows only one of the methods, one connection for each client, \
                 or fewer requests than clients need."
            }
            Self::Buffering => {
                "Something in between collects a response before it passes it on, so messages arrive late or only \
                 when the next ones come."
            }
            Self::PollTimeout => {
                "A poll waits until there is a message, at most until the heartbeat. Something in between ends \
                 requests that are silent for a shorter time: clients connect again and again. The timeout must be \
                 longer than the heartbeat, interval and timeout together."
            }
            Self::WebSocketTimeout => {
                "A WebSocket is silent until the heartbeat, and something in between ends silent connections \
                 earlier: clients connect again and again. The timeout must be longer than the heartbeat."
            }
            Self::UpgradeBlocked => {
                "Something in between does not pass on the request for a WebSocket: Upgrade and Connection belong to \
                 one hop only, so a proxy has to be told, and some firewalls refuse. Clients stay with polling, which \
                 costs more, and those that use WebSocket alone cannot connect."
            }
            Self::UpgradeStripped => {
                "Something in between removes or changes headers of the WebSocket handshake (Sec-WebSocket-Key, \
                 -Version, -Accept). Browsers then refuse the WebSocket, and clients stay with polling."
            }
            Self::Frames => {
                "The handshake passes and the frames after it do not: something in between answers the handshake \
                 itself, or holds back what it does not understand, as virus scanners and some firewalls do. Each \
                 upgrade fails after a timeout."
            }
            Self::PayloadLimit => {
                "Something in between takes smaller bodies than the server. A client that sends more, such as a picture \
                 or many messages at once, is disconnected. The limit must be above the server's \
                 (maxHttpBufferSize, announced as maxPayload)."
            }
            Self::Cached => {
                "A cache answers in the server's place, or is allowed to. A client gets what was meant for another one, \
                 even another one's session. Nothing below this path may be kept."
            }
            Self::Compression => {
                "A response is compressed again by something in between, or its Content-Encoding was removed or added. \
                 Clients read garbage and disconnect. One place may compress: the server or one proxy."
            }
            Self::Clock => {
                "Responses come from machines whose clocks differ, or from one whose clock is set back and forth. \
                 Tokens and cookies then seem to be expired, or not to be valid yet."
            }
            Self::Cors => {
                "Browsers show a response to a page of another origin only if the response allows that origin, and \
                 with cookies only if it names the origin and allows credentials. The server is the right place \
                 (cors of Socket.IO); a proxy can say it for a server that cannot."
            }
            Self::CorsTwice => {
                "The server and a proxy both write Access-Control-Allow-Origin, and browsers refuse a response with \
                 two. One of them must be silent; these lines silence the proxy or the server behind it."
            }
            Self::Cookie => {
                "Sessions are found by a cookie that a balancer sets, and browsers do not send it back: polls reach \
                 other servers, which do not know the session."
            }
            Self::Http2 => {
                "Something speaks HTTP/2 to clients, and does not pass on what it announces. Browsers that see WebSocket \
                 announced (RFC 8441) open it over HTTP/2, where it fails."
            }
        }
    }

    /// Returns what mends it.
    pub(super) const fn remedy(self) -> Remedy {
        match self {
            Self::Handshake => Remedy {
                nginx: "location /socket.io/ { proxy_pass http://127.0.0.1:3000; }",
                haproxy: "# in the frontend:\nuse_backend chat if { path_beg /socket.io/ }",
                traefik: "traefik.http.routers.chat.rule=PathPrefix(`/socket.io/`)",
                caddy: "# outside: reverse_proxy /socket.io/* 127.0.0.1:3000",
                ingress_nginx: "# in the rule: path: /socket.io/ and pathType: Prefix",
            },
            Self::Stickiness => Remedy {
                nginx: "# in the upstream:\nhash $remote_addr consistent;",
                haproxy: "balance source\nhash-type consistent",
                traefik: "traefik.http.services.chat.loadbalancer.sticky.cookie=true",
                caddy: "lb_policy cookie",
                ingress_nginx: "nginx.ingress.kubernetes.io/affinity: cookie",
            },
            Self::Refused => Remedy {
                nginx: "# limit_except, limit_conn, limit_req must allow GET and POST",
                haproxy: "# http-request deny must allow GET and POST",
                traefik: "# inFlightReq and rateLimit must allow GET and POST",
                caddy: "# a matcher of methods must have GET and POST",
                ingress_nginx: "# limit-connections and limit-rps must allow GET and POST",
            },
            Self::Buffering => Remedy {
                nginx: "proxy_buffering off;",
                haproxy: "option http-no-delay",
                traefik: "# leave out the middleware buffering\n\
                          traefik.http.services.chat.loadbalancer.responseforwarding.flushinterval=1ms",
                caddy: "flush_interval -1",
                ingress_nginx: "nginx.ingress.kubernetes.io/proxy-buffering: \"off\"",
            },
            Self::PollTimeout => Remedy {
                nginx: "proxy_read_timeout 90s;",
                haproxy: "timeout server 90s",
                traefik: "--serverstransport.forwardingtimeouts.responseheadertimeout=90s",
                caddy: "transport http {\n    response_header_timeout 90s\n}",
                ingress_nginx: "nginx.ingress.kubernetes.io/proxy-read-timeout: \"90\"",
            },
            Self::WebSocketTimeout => Remedy {
                nginx: "proxy_read_timeout 90s;\nproxy_send_timeout 90s;",
                haproxy: "timeout tunnel 1h",
                traefik: "# Traefik ends no silent WebSocket: look around it",
                caddy: "# Caddy ends none by itself; stream_timeout must be longer",
                ingress_nginx: "nginx.ingress.kubernetes.io/proxy-read-timeout: \"90\"\n\
                                nginx.ingress.kubernetes.io/proxy-send-timeout: \"90\"",
            },
            Self::UpgradeBlocked => Remedy {
                nginx: "proxy_http_version 1.1;\n\
                        proxy_set_header Upgrade $http_upgrade;\n\
                        proxy_set_header Connection \"upgrade\";",
                haproxy: "# passes upgrades; remove: http-request del-header Upgrade\n\
                          timeout tunnel 1h",
                traefik: "# passes upgrades; remove Upgrade from customRequestHeaders",
                caddy: "# passes upgrades; remove: header_up -Upgrade",
                ingress_nginx: "nginx.ingress.kubernetes.io/proxy-http-version: \"1.1\"",
            },
            Self::UpgradeStripped => Remedy {
                nginx: "# remove: proxy_set_header Sec-WebSocket-Key \"\";\n\
                        proxy_pass_request_headers on;\n\
                        proxy_pass_header Sec-WebSocket-Accept;",
                haproxy: "# remove: http-request del-header Sec-WebSocket-Key\n\
                          # remove: http-response del-header Sec-WebSocket-Accept",
                traefik: "# remove Sec-WebSocket-* from customRequestHeaders\n\
                          # remove Sec-WebSocket-* from customResponseHeaders",
                caddy: "# remove: header_up -Sec-WebSocket-*\n\
                        # remove: header_down -Sec-WebSocket-*",
                ingress_nginx: "# remove Sec-WebSocket-* from proxy-set-headers, hide-headers",
            },
            Self::Frames => Remedy {
                nginx: "# nginx passes frames unread: look around it",
                haproxy: "# HAProxy passes frames unread: look around it",
                traefik: "# Traefik passes frames unread: look around it",
                caddy: "# Caddy passes frames unread: look around it",
                ingress_nginx: "# leave out enable-modsecurity for this path",
            },
            Self::PayloadLimit => Remedy {
                nginx: "client_max_body_size 2m;",
                haproxy: "# remove: http-request deny if { req.body_size gt ... }",
                traefik: "traefik.http.middlewares.chat.buffering.maxrequestbodybytes=2000000",
                caddy: "# outside: request_body { max_size 2MB }",
                ingress_nginx: "nginx.ingress.kubernetes.io/proxy-body-size: 2m",
            },
            Self::Cached => Remedy {
                nginx: "proxy_cache off;\nexpires off;",
                haproxy: "# remove: http-request cache-use, http-response cache-store",
                traefik: "# remove the plugin that caches from this router",
                caddy: "# remove: cache",
                ingress_nginx: "# remove proxy_cache and expires from configuration-snippet",
            },
            Self::Compression => Remedy {
                nginx: "gzip off;",
                haproxy: "# remove: filter compression, compression algo",
                traefik: "# remove the middleware compress from this router",
                caddy: "# outside, remove: encode",
                ingress_nginx: "# in the ConfigMap: use-gzip: \"false\"",
            },
            Self::Clock => Remedy {
                nginx: "# set the clock of each server by NTP",
                haproxy: "# set the clock of each server by NTP",
                traefik: "# set the clock of each server by NTP",
                caddy: "# set the clock of each server by NTP",
                ingress_nginx: "# set the clock of each node by NTP",
            },
            Self::Cors => Remedy {
                nginx: "add_header Access-Control-Allow-Origin https://app.example.org always;\n\
                        add_header Access-Control-Allow-Credentials true always;",
                haproxy: "http-response set-header Access-Control-Allow-Origin https://app.example.org\n\
                          http-response set-header Access-Control-Allow-Credentials true",
                traefik: "traefik.http.middlewares.c.headers.accesscontrolalloworiginlist=https://app.example.org\n\
                          traefik.http.middlewares.c.headers.accesscontrolallowcredentials=true",
                caddy: "header_down Access-Control-Allow-Origin https://app.example.org\n\
                        header_down Access-Control-Allow-Credentials true",
                ingress_nginx: "nginx.ingress.kubernetes.io/enable-cors: \"true\"\n\
                                nginx.ingress.kubernetes.io/cors-allow-origin: https://app.example.org",
            },
            Self::CorsTwice => Remedy {
                nginx: "# or remove: add_header Access-Control-Allow-Origin\n\
                        proxy_hide_header Access-Control-Allow-Origin;",
                haproxy: "# set-header, not add-header:\n\
                          http-response set-header Access-Control-Allow-Origin https://app.example.org",
                traefik: "# remove accessControlAllowOriginList from its middleware",
                caddy: "# outside, remove: header Access-Control-Allow-Origin",
                ingress_nginx: "nginx.ingress.kubernetes.io/enable-cors: \"false\"",
            },
            Self::Cookie => Remedy {
                nginx: "# in the upstream, without a cookie:\nhash $remote_addr consistent;",
                haproxy: "# and cookie NAME on each server:\n\
                          cookie SERVERID insert indirect nocache secure attr SameSite=None",
                traefik: "traefik.http.services.chat.loadbalancer.sticky.cookie.secure=true\n\
                          traefik.http.services.chat.loadbalancer.sticky.cookie.samesite=none",
                caddy: "# without a cookie:\nlb_policy ip_hash",
                ingress_nginx: "nginx.ingress.kubernetes.io/session-cookie-samesite: None\n\
                                nginx.ingress.kubernetes.io/session-cookie-secure: \"true\"",
            },
            Self::Http2 => Remedy {
                nginx: "# nginx announces none: look around it",
                haproxy: "# in global:\nh2-workaround-bogus-websocket-clients",
                traefik: "# remove http2xconnect=1 from GODEBUG",
                caddy: "# remove http2xconnect=1 from GODEBUG",
                ingress_nginx: "# in the ConfigMap: use-http2: \"false\"",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_has_a_name_of_its_own_and_a_line_for_each_proxy() {
        let mut names: Vec<&str> = Trouble::ALL.iter().map(|trouble| trouble.word()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Trouble::ALL.len());
        for trouble in Trouble::ALL {
            for (proxy, _, lines) in trouble.remedy().rows() {
                // A report has 16 columns before it. What cannot be broken may be longer.
                let longest = |line: &str| if line.starts_with('#') { 64 } else { 90 };
                let fits = |line: &str| !line.trim().is_empty() && line.len() <= longest(line);
                assert!(!lines.is_empty() && lines.lines().all(fits), "{trouble:?} {proxy}: {lines}");
            }
        }
    }
}
