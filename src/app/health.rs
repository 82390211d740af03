//! `health`: asks a process that runs whether it is alive, or takes new sessions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ask::ask;
use crate::address::ListenAddress;
use crate::service::AdminSettings;

/// Asks the process of this host that has this admin listener whether it runs, or with `ready` whether it takes new sessions.
/// Returns whether it does, and what it says.
///
/// # Errors
/// It cannot be asked; the text says why.
pub fn health(admin: &AdminSettings, ready: bool) -> Result<(bool, String), String> {
    // Health needs no token.
    let asked = AdminSettings { token: None, ..admin.clone() };
    let (status, body) = ask(&url(admin), if ready { "/readyz" } else { "/livez" }, &asked)?;
    Ok((status.is_success(), String::from_utf8_lossy(&body).into_owned()))
}

/// Returns how a listener is reached from the host that it is on.
fn url(admin: &AdminSettings) -> String {
    match &admin.listen {
        ListenAddress::Unix(path) => format!("unix:{}", path.display()),
        ListenAddress::Ip(address) => {
            let mut address = *address;
            // All addresses are none to connect to.
            address.set_ip(match address.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
            });
            let scheme = if admin.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{address}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_listener_is_reached_from_its_host() {
        let at = |listen| url(&AdminSettings { listen, ..AdminSettings::default() });
        let of = |address: &str| at(address.parse::<SocketAddr>().unwrap().into());
        assert_eq!(of("10.0.0.1:9090"), "http://10.0.0.1:9090");
        assert_eq!(of("0.0.0.0:9090"), "http://127.0.0.1:9090");
        assert_eq!(of("[::]:9090"), "http://[::1]:9090");
        assert_eq!(at(ListenAddress::Unix(Path::new("/run/a.sock").into())), "unix:/run/a.sock");
    }
}
