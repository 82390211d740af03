//! A tunnel that carries the clients of a test, which speak in the clear, over TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

/// What a tunnel shows and asks of the other side.
#[derive(Clone, Debug)]
pub(crate) struct Tunnel<'t> {
    /// The name that its certificate must have.
    pub(crate) name: &'static str,
    /// A file with the authority of that certificate, or with the certificate itself.
    pub(crate) root: &'t Path,
    /// Whether HTTP/2 is spoken inside.
    pub(crate) http2: bool,
    /// Files with a certificate that is shown, and its key.
    pub(crate) shown: Option<[&'t Path; 2]>,
}

impl Tunnel<'_> {
    /// Returns where connections are taken that are carried to an address, until the test's process ends.
    pub(crate) fn to(&self, addr: SocketAddr) -> SocketAddr {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.root).unwrap()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match self.shown {
            None => config.with_no_client_auth(),
            Some([certificate, key]) => {
                let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
                config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
            }
        };
        if self.http2 {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        let (connector, name) = (TlsConnector::from(Arc::new(config)), self.name);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let near = listener.local_addr().unwrap();
        thread::spawn(move || {
            runtime.block_on(async {
                while let Ok((mut client, _)) = listener.accept().await {
                    let connector = connector.clone();
                    tokio::spawn(async move {
                        // A target that is gone closes the test's connection too.
                        let Ok(stream) = TcpStream::connect(addr).await else { return };
                        let stream = connector.connect(name.try_into().unwrap(), stream).await;
                        let mut stream = stream.unwrap();
                        let _ended = copy_bidirectional(&mut client, &mut stream).await;
                    });
                }
            });
        });
        near
    }
}
