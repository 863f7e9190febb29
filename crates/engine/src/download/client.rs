//! The HTTP client: whom it trusts, and through which proxies it goes.
//!
//! Follows no redirect and reads no environment variables by itself.

use std::path::Path;
use std::sync::Arc;

use reqwest::redirect::Policy;
use reqwest::{Client, NoProxy, Proxy};
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use super::job::Request;
use super::source::without_secrets;
use crate::error::{Error, Result};

/// Through which proxies the network is reached: the values of the environment's variables.
#[derive(Clone, Default)]
pub struct Proxies {
    /// For `http:`.
    pub http: Option<String>,
    /// For `https:`.
    pub https: Option<String>,
    /// For what has none of its own.
    pub all: Option<String>,
    /// Hosts that are reached directly, with commas between.
    pub except: Option<String>,
}

/// A proxy's address may have a password in it.
impl std::fmt::Debug for Proxies {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Proxies").finish_non_exhaustive()
    }
}

/// Reads the system's certificates, which takes a moment.
pub(super) fn client(request: &Request) -> Result<Client> {
    let Request { proxies, patience, .. } = request;
    let extra = request.certificates.as_deref().map(certificates).unwrap_or_default();
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls(extra)?)
        .user_agent(concat!("llama-worker/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(patience.connect)
        .read_timeout(patience.stall)
        .pool_idle_timeout(patience.stall);
    for proxy in configured(proxies)? {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| defect(&error))
}

fn configured(proxies: &Proxies) -> Result<Vec<Proxy>> {
    // What is on this machine is not reached through another one.
    let except = format!("localhost,127.0.0.0/8,::1,{}", proxies.except.as_deref().unwrap_or_default());
    let all = proxies.all.as_ref();
    let http = proxies.http.as_ref().or(all).map(|address| (address, Proxy::http(address)));
    let https = proxies.https.as_ref().or(all).map(|address| (address, Proxy::https(address)));
    let checked = |(address, proxy): (&String, reqwest::Result<Proxy>)| match proxy {
        Ok(proxy) => Ok(proxy.no_proxy(NoProxy::from_string(&except))),
        Err(error) => Err(Error::DownloadFailed {
            url: without_secrets(address),
            reason: format!("it is no proxy's address: {error}"),
        }),
    };
    http.into_iter().chain(https).map(checked).collect()
}

/// The certificates in a file. As Node.js does, none where it cannot be read: most servers need none of them, and those that do will say so.
fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    let certificates = CertificateDer::pem_file_iter(file).into_iter().flatten();
    certificates.filter_map(std::result::Result::ok).collect()
}

/// Trusts whom the system trusts, and who is named by `extra`.
fn tls(extra: Vec<CertificateDer<'static>>) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let verifier = match Verifier::new_with_extra_roots(extra, Arc::clone(&provider)) {
        Ok(verifier) => verifier,
        Err(error) => return without_system(provider).ok_or_else(|| defect(&error)),
    };
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| defect(&error))?.dangerous();
    Ok(builder.with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

/// Where the system has no certificates at all, those that browsers trust.
#[cfg(target_os = "linux")]
fn without_system(provider: Arc<CryptoProvider>) -> Option<ClientConfig> {
    let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect::<rustls::RootCertStore>();
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?;
    Some(versions.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(not(target_os = "linux"))]
fn without_system(_provider: Arc<CryptoProvider>) -> Option<ClientConfig> {
    None
}

fn defect(error: &dyn std::error::Error) -> Error {
    Error::Internal {
        reason: format!("no HTTP client could be made: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_for_its_scheme_and_all_for_the_rest() {
        let address = |text: &str| Some(text.to_owned());
        for (proxies, expected) in [
            (Proxies::default(), 0),
            (
                Proxies {
                    https: address("http://p:1"),
                    ..Proxies::default()
                },
                1,
            ),
            (
                Proxies {
                    all: address("http://p:1"),
                    ..Proxies::default()
                },
                2,
            ),
            (
                Proxies {
                    all: address("p:1"),
                    http: address("http://q"),
                    ..Proxies::default()
                },
                2,
            ),
        ] {
            assert_eq!(configured(&proxies).unwrap().len(), expected);
        }
    }

    #[test]
    fn an_address_that_is_none_is_an_error_without_its_password() {
        let proxies = Proxies {
            https: Some("http://me:s3cret@[".into()),
            ..Proxies::default()
        };
        let error = configured(&proxies).unwrap_err().to_string();
        assert!(error.contains("no proxy's address") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn a_file_without_certificates_has_none() {
        for file in ["Cargo.toml", "missing.pem", "src"] {
            assert!(certificates(Path::new(file)).is_empty(), "{file}");
        }
    }

    #[test]
    fn there_is_always_somebody_to_trust() {
        assert!(tls(Vec::new()).is_ok());
        #[cfg(target_os = "linux")]
        assert!(without_system(Arc::new(ring::default_provider())).is_some());
    }
}
