//! TLS 1.3 with a certificate and key from PEM files; older versions are refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::HttpError;

const CERT_SETTING: &str = "server.tls_cert";
const KEY_SETTING: &str = "server.tls_key";
/// The name of HTTP/2 in a handshake.
pub(crate) const HTTP2: &[u8] = b"h2";

/// Certificate chain and private key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, our own certificate first.
    pub cert: PathBuf,
    /// Its key: PKCS #8, SEC 1 or PKCS #1.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Both files, or neither.
    ///
    /// # Errors
    /// If only one of them is set.
    pub fn from_settings(cert: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<Self>, HttpError> {
        match (cert, key) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => Ok(Some(Self { cert, key })),
            (None, Some(_)) => Err(HttpError::HalfTls {
                missing: CERT_SETTING,
            }),
            (Some(_), None) => Err(HttpError::HalfTls { missing: KEY_SETTING }),
        }
    }

    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, HttpError> {
        let chain = read_chain(&self.cert)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| unusable(KEY_SETTING, &self.key, &error.to_string()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| unusable(CERT_SETTING, &self.cert, &error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| unusable(CERT_SETTING, &self.cert, &error.to_string()))?;
        // Ours is the choice: who speaks both stays with HTTP/1.1; gRPC speaks only the other.
        config.alpn_protocols = vec![b"http/1.1".to_vec(), HTTP2.to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(|certificates| certificates.collect());
    match chain {
        Ok(chain) if chain.is_empty() => Err(unusable(CERT_SETTING, path, "it holds no certificate")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(unusable(CERT_SETTING, path, &error.to_string())),
    }
}

fn unusable(setting: &'static str, path: &Path, reason: &str) -> HttpError {
    HttpError::TlsFile {
        setting,
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}
