//! The PROXY protocol towards a backend: a header before everything else, in which it learns who the client is.

use std::io;
use std::net::SocketAddr;

use proxy_header::{ProxiedAddress, ProxyHeader};
use tokio::io::AsyncWriteExt as _;

use crate::address::RemoteAddress;
use crate::duplex::Socket;
use crate::upstream::ProxyVersion;

/// Writes the header. A connection that is nobody's, or the client's that has no address, is announced as this proxy's own.
pub(super) async fn announce(
    stream: &mut Socket,
    version: ProxyVersion,
    client: Option<RemoteAddress>,
) -> io::Result<()> {
    let header = header(version, client, stream.remote_address()?)?;
    stream.write_all(&header).await
}

fn header(
    version: ProxyVersion,
    client: Option<RemoteAddress>,
    backend: RemoteAddress,
) -> io::Result<Vec<u8>> {
    let announced = match client {
        Some(RemoteAddress::Ip(client)) => {
            let (from, to) = of_one_family(client, backend);
            ProxyHeader::with_address(ProxiedAddress::stream(from, to))
        }
        Some(RemoteAddress::Unix) | None => ProxyHeader::with_local(),
    };
    let mut header = Vec::new();
    let encoded = match version {
        ProxyVersion::V1 => announced.encode_v1(&mut header),
        ProxyVersion::V2 => announced.encode_v2(&mut header),
    };
    encoded.map_err(|error| io::Error::other(error.to_string()))?;
    Ok(header)
}

/// Returns both addresses as one family has them: a header has room for no other.
fn of_one_family(client: SocketAddr, backend: RemoteAddress) -> (SocketAddr, SocketAddr) {
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let client = canonical(client);
    let backend = match backend {
        RemoteAddress::Ip(backend) => canonical(backend),
        RemoteAddress::Unix if client.is_ipv4() => SocketAddr::from(([0; 4], 0)),
        RemoteAddress::Unix => SocketAddr::from(([0_u16; 8], 0)),
    };
    let wide = |address: SocketAddr| match address {
        SocketAddr::V4(address) => SocketAddr::new(address.ip().to_ipv6_mapped().into(), address.port()),
        SocketAddr::V6(_) => address,
    };
    if client.is_ipv4() == backend.is_ipv4() { (client, backend) } else { (wide(client), wide(backend)) }
}

#[cfg(test)]
mod tests {
    use proxy_header::ParseConfig;

    use super::*;

    #[test]
    fn a_header_says_where_the_client_and_the_backend_are() {
        let ip = |text: &str| RemoteAddress::Ip(text.parse().unwrap());
        for (client, backend, from, to) in [
            (ip("192.0.2.1:1"), ip("192.0.2.2:2"), "192.0.2.1:1", "192.0.2.2:2"),
            (ip("[::ffff:192.0.2.1]:1"), ip("192.0.2.2:2"), "192.0.2.1:1", "192.0.2.2:2"),
            (ip("[2001:db8::1]:1"), ip("192.0.2.2:2"), "[2001:db8::1]:1", "[::ffff:192.0.2.2]:2"),
            (ip("192.0.2.1:1"), ip("[2001:db8::2]:2"), "[::ffff:192.0.2.1]:1", "[2001:db8::2]:2"),
            (ip("192.0.2.1:1"), RemoteAddress::Unix, "192.0.2.1:1", "0.0.0.0:0"),
            (ip("[2001:db8::1]:1"), RemoteAddress::Unix, "[2001:db8::1]:1", "[::]:0"),
        ] {
            for version in [ProxyVersion::V1, ProxyVersion::V2] {
                let header = header(version, Some(client), backend).unwrap();
                let (parsed, len) = ProxyHeader::parse(&header, ParseConfig::default()).unwrap();
                assert_eq!(len, header.len());
                let told = parsed.proxied_address().unwrap();
                assert_eq!((told.source, told.destination), (from.parse().unwrap(), to.parse().unwrap()));
            }
        }
    }

    #[test]
    fn a_connection_without_a_client_is_the_proxys_own() {
        let backend = RemoteAddress::Unix;
        for client in [None, Some(RemoteAddress::Unix)] {
            assert_eq!(header(ProxyVersion::V1, client, backend).unwrap(), b"PROXY UNKNOWN\r\n");
            let local = header(ProxyVersion::V2, client, backend).unwrap();
            assert_eq!(local, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
        }
    }
}
