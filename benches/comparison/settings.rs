//! The configuration of each peer: the same job and nothing else, without timeouts that would end a connection during
//! a measurement.

use std::net::SocketAddr;
use std::path::Path;

/// How Polliwog reaches the backend.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackSide {
    Own,
    Mux,
    Framed,
}

pub(crate) fn polliwog(
    listen: SocketAddr,
    admin: SocketAddr,
    backend: SocketAddr,
    back_side: BackSide,
    tls: &str,
) -> String {
    let (kind, plain) = if back_side == BackSide::Mux { ("mux", "mux") } else { ("engine.io", "websocket") };
    let relay = back_side != BackSide::Framed;
    format!(
        "[server]\nlisten = [\"{listen}\"]\nmax_sessions = 100_000\ndrain_timeout = \"1s\"\nidle_timeout = \"1h\"\n{tls}\
         [limits]\nhandshakes_per_second = 0\n\
         [admin]\nlisten = \"{admin}\"\n\
         [log]\nlevel = \"error\"\n\
         [defaults]\nping_interval = \"10m\"\nping_timeout = \"10m\"\nstall_timeout = \"10m\"\nrelay = {relay}\n\
         [[routes]]\npath = \"/socket.io/\"\ndialect = \"engine.io\"\nupstream = \"backend\"\n\
         [[routes]]\npath = \"/sockjs/\"\ndialect = \"sockjs\"\nheartbeat = \"10m\"\ndisconnect_delay = \"10m\"\nresponse_limit = \"1GB\"\nupstream = \"plain\"\n\
         [upstreams.backend]\nkind = \"{kind}\"\nurl = \"ws://{backend}/socket.io/\"\n\
         [upstreams.plain]\nkind = \"{plain}\"\nurl = \"ws://{backend}/sockjs/\"\n"
    )
}

/// Returns what makes Polliwog one of several nodes, which find each other at these addresses.
pub(crate) fn cluster(nodes: &[SocketAddr], node: usize) -> String {
    let peers: Vec<_> =
        (0..).zip(nodes).map(|(other, at): (usize, _)| format!("n{other} = \"{at}\"")).collect();
    let (listen, peers) = (nodes[node], peers.join(", "));
    format!(
        "[cluster]\nlisten = \"{listen}\"\npeers = {{ {peers} }}\ntoken = \"a-long-secret-of-all-nodes\"\n"
    )
}

/// Runs it in one process; connections to the backend are kept.
pub(crate) fn nginx(listen: SocketAddr, backend: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr crit;\n\
         worker_rlimit_nofile 20000;\n\
         events {{ worker_connections 20000; }}\n\
         http {{\n\
           access_log off;\n\
           client_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\n\
           fastcgi_temp_path {folder}/fastcgi;\nuwsgi_temp_path {folder}/uwsgi;\nscgi_temp_path {folder}/scgi;\n\
           keepalive_requests 1000000000;\nkeepalive_timeout 1h;\ntcp_nodelay on;\n\
           upstream backend {{ server {backend}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 1h; }}\n\
           map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}\n\
           server {{\n\
             listen {listen} backlog=4096;\n\
             location / {{\n\
               proxy_pass http://backend;\nproxy_http_version 1.1;\n\
               proxy_set_header Host $http_host;\n\
               proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection $connection_upgrade;\n\
               proxy_read_timeout 1h;\nproxy_send_timeout 1h;\n\
             }}\n\
           }}\n\
         }}\n"
    )
}

/// Returns one thread.
pub(crate) fn haproxy(listen: SocketAddr, backend: SocketAddr) -> String {
    format!(
        "global\n  nbthread 1\n  maxconn 9900\n\
         defaults\n  mode http\n  timeout connect 10s\n  timeout client 1h\n  timeout server 1h\n  timeout tunnel 1h\n\
         frontend front\n  bind {listen}\n  default_backend back\n\
         backend back\n  server backend {backend}\n"
    )
}

/// Pushpin's file; its helper's is [`zurl`].
pub(crate) fn pushpin(listen: SocketAddr, free: [SocketAddr; 4], folder: &Path) -> String {
    let [push_in, push_in_sub, http, command] = free;
    let (address, port) = (http.ip(), http.port());
    let folder = folder.display();
    format!(
        "[global]\ninclude={{libdir}}/internal.conf\nrundir={folder}\nipc_prefix=pushpin-\nport_offset=0\n\
         [runner]\nservices=condure,pushpin-proxy,pushpin-handler\nhttp_port={listen}\nlogdir={folder}\nlog_level=0\n\
         client_buffer_size=8192\nclient_maxconn=9900\ncondure_bin=condure\n\
         [proxy]\nroutesfile=routes\nset_x_forwarded_protocol=proto-only\n\
         zurl_out_specs=ipc://{folder}/zurl-in\nzurl_out_stream_specs=ipc://{folder}/zurl-in-stream\n\
         zurl_in_specs=ipc://{folder}/zurl-out\n\
         [handler]\npush_in_spec=tcp://{push_in}\npush_in_sub_specs=tcp://{push_in_sub}\n\
         push_in_http_addr={address}\npush_in_http_port={port}\n\
         stats_spec=ipc://{folder}/pushpin-stats\ncommand_spec=tcp://{command}\n"
    )
}

/// Returns Pushpin's routes: it translates SockJS and passes the rest.
pub(crate) fn pushpin_routes(backend: SocketAddr) -> String {
    format!("*,path_beg=/sockjs,sockjs=/sockjs,sockjs_as_path=/sockjs {backend}\n* {backend}\n")
}

/// Debian's own file forbids requests to servers on this machine.
pub(crate) fn zurl(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "[General]\ninstance_id=\nin_spec=ipc://{folder}/zurl-in\nin_stream_spec=ipc://{folder}/zurl-in-stream\n\
         out_spec=ipc://{folder}/zurl-out\nin_req_spec=\ndefpolicy=allow\nallow=\ndeny=\n\
         max_open_requests=9900\nbuffer_size=200000\ntimeout=3600\nin_hwm=100000\nout_hwm=100000\n"
    )
}
