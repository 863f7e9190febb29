//! Encrypted connections: who is trusted, and that nobody else is.
//!
//! Only where the rules are this project's: other systems verify certificates themselves.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::support::{Folder, code, download};

const BODY: &[u8] = b"GGUF and the rest";

/// An encrypted server for `localhost`, with the certificate of an authority that nobody knows.
struct SecureServer {
    port: u16,
    authority: String,
    n_connections: Arc<AtomicUsize>,
}

impl SecureServer {
    fn start() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".into()])
            .unwrap()
            .signed_by(&key, &authority)
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = versions
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("localhost:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            authority: authority.pem(),
            n_connections: Arc::default(),
        };
        let (config, n_connections) = (Arc::new(config), Arc::clone(&server.n_connections));
        std::thread::Builder::new()
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    n_connections.fetch_add(1, Ordering::SeqCst);
                    let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                    // Who does not trust this server hangs up.
                    let _ = answer(StreamOwned::new(connection, stream));
                }
            })
            .unwrap();
        server
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/m.gguf", self.port)
    }
}

fn answer(mut stream: StreamOwned<ServerConnection, std::net::TcpStream>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", BODY.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(BODY)?;
    stream.conn.send_close_notify();
    stream.flush()
}

#[test]
fn who_is_not_trusted_is_asked_once_and_told_nothing() {
    let (folder, server) = (Folder::new(), SecureServer::start());
    let error = download(folder.request(&[&server.url()])).unwrap_err();
    assert_eq!(error.code(), "DOWNLOAD_FAILED");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!(server.n_connections.load(Ordering::SeqCst), 1);
    assert_eq!(folder.names(), Vec::<String>::new());
}

#[test]
fn who_is_named_by_the_extra_certificates_is_trusted() {
    let (folder, server) = (Folder::new(), SecureServer::start());
    let mut request = folder.request(&[&server.url()]);
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, &server.authority).unwrap();
    request.certificates = Some(file);
    let ending = download(request);
    assert_eq!(code(&ending), "OK", "{ending:?}");
    assert_eq!(folder.read("m.gguf"), BODY);
}
