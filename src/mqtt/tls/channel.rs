//! A TLS connection over a socket that never blocks: handshake, records in and out, and words for what goes wrong.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, SignatureScheme};

use super::certificate::Certificate;
use super::material;
use super::provider;
use super::trouble::{Cause, TlsTrouble};
use super::verifier::{Verifier, fingerprint};
use super::words::{self, View};
use super::{Facts, Shake, Socket, TlsOptions};
use crate::limits::{TLS_READS_WITHOUT_DATA, TLS_WRITE_BYTES};
use crate::mqtt::link::plain;

/// A TLS connection.
pub struct Channel {
    tls: ClientConnection,
    verifier: Arc<Verifier>,
    client: Arc<Client>,
    /// Given up when the handshake is done.
    key: Option<Arc<CertifiedKey>>,
    /// The name that is checked.
    name: String,
    /// Bytes of the caller that are encrypted and not yet all with the socket.
    taken: usize,
    /// Whether the peer sent anything at all, and any data.
    heard: bool,
    served: bool,
    /// What went wrong behind data that was given first; the end is told again and again.
    failed: Option<io::Error>,
    ended: bool,
}

/// This build has TLS.
pub fn check() -> Result<(), TlsTrouble> {
    Ok(())
}

impl Channel {
    /// Reads the files that `options` name, on a helper thread, and makes a connection that has sent nothing yet.
    pub async fn prepare(options: &TlsOptions, host: &str) -> Result<Self, TlsTrouble> {
        let name = options.server_name.as_deref().unwrap_or(host).to_owned();
        let server_name = ServerName::try_from(name.clone()).map_err(|_| {
            TlsTrouble::new(Cause::Settings, format!("{name:?} is no host name or address, as a certificate has them"))
        })?;
        let material = material::read(options).await?;
        let provider = Arc::new(provider::provider());
        let verifier = Arc::new(Verifier::new(options, &material, provider.signature_verification_algorithms));
        let client = Arc::new(Client::new(material.client.as_ref()));
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let internal = |error: rustls::Error| TlsTrouble::new(Cause::Peer, error.to_string());
        let builder = builder.map_err(internal)?.dangerous().with_custom_certificate_verifier(verifier.clone());
        let mut config = builder.with_client_cert_resolver(client.clone());
        // A session is connected for hours: what a resumption would save once is not worth what it keeps in memory.
        config.resumption = Resumption::disabled();
        if options.alpn {
            config.alpn_protocols.push(b"mqtt".to_vec());
        }
        let tls = ClientConnection::new(Arc::new(config), server_name).map_err(internal)?;
        let key = material.client;
        Ok(Self { tls, verifier, client, key, name, taken: 0, heard: false, served: false, failed: None, ended: false })
    }

    /// Goes on with the handshake as far as the socket lets it.
    pub fn shake(&mut self, socket: &mut dyn Socket) -> Result<Shake, TlsTrouble> {
        loop {
            match self.flush(socket) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Shake::Writable),
                Err(error) => {
                    let error = self.reason(socket, error);
                    return Err(self.cut(&error));
                }
            }
            if !self.tls.is_handshaking() {
                self.key = None;
                return Ok(Shake::Done);
            }
            match self.tls.read_tls(socket) {
                Ok(0) => return Err(self.cut(&ErrorKind::UnexpectedEof.into())),
                Ok(_) => self.heard = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Shake::Readable),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.cut(&error)),
            }
            if let Err(error) = self.tls.process_new_packets() {
                // The peer is told why, if the socket takes it.
                let _ = self.flush(socket);
                return Err(words::tell(&error, &self.view()));
            }
        }
    }

    /// What the handshake showed.
    pub fn facts(&self) -> Facts {
        let der = self.verifier.seen().unwrap_or_default();
        Facts {
            protocol: match self.tls.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
                _ => "TLS 1.3",
            },
            cipher: self.tls.negotiated_cipher_suite().map_or("", |suite| provider::name(suite.suite())),
            certificate: Certificate::read(der),
            fingerprint_sha256: base16ct::lower::encode_string(&fingerprint(der)),
        }
    }

    /// Reads what is there: less than the buffer takes only when socket and records are empty. `WouldBlock` when
    /// nothing is there, 0 at the end.
    pub fn read(&mut self, socket: &mut dyn Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(socket, &mut buffer[filled..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(count) => filled += count,
                Err(error) if filled == 0 => return Err(error),
                Err(error) => {
                    let later =
                        |error: &io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted);
                    self.failed = Some(error).filter(|error| !later(error));
                    break;
                }
            }
        }
        self.served |= filled > 0;
        Ok(filled)
    }

    /// Whether [`Channel::read`] has something to tell that the socket does not show.
    pub fn has_news(&self) -> bool {
        self.ended || self.failed.is_some()
    }

    /// Writes the beginning of `bytes`; tells how much only when the socket has all of that. After `WouldBlock` it must
    /// be called with the same beginning again.
    pub fn write(&mut self, socket: &mut dyn Socket, bytes: &[u8]) -> io::Result<usize> {
        if self.taken == 0 {
            self.taken = self.tls.writer().write(&bytes[..bytes.len().min(TLS_WRITE_BYTES)])?;
        }
        match self.flush(socket) {
            Ok(()) => Ok(std::mem::take(&mut self.taken)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Err(error),
            Err(error) => Err(self.reason(socket, error)),
        }
    }

    /// Says that nothing more will be written.
    pub fn finish(&mut self, socket: &mut dyn Socket) {
        self.tls.send_close_notify();
        // A socket that takes nothing will be closed without it.
        let _ = self.flush(socket);
    }

    /// Why a connection that stood has ended, if TLS knows more than the socket; no error is an end in order.
    pub fn explain(&self, error: Option<&io::Error>) -> Option<TlsTrouble> {
        if let Some(error) = error.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref()) {
            return Some(words::tell(error, &self.view()));
        }
        // With TLS 1.3 a server looks at our certificate only after the handshake, and the alert may be lost with the
        // connection.
        let rejected = !self.served && self.client.asked.load(Ordering::Relaxed);
        rejected.then(|| words::client_certificate(self.client.has_key))
    }

    fn read_some(&mut self, socket: &mut dyn Socket, buffer: &mut [u8]) -> io::Result<usize> {
        // Records without data could go on for ever.
        for _ in 0..TLS_READS_WITHOUT_DATA {
            match self.tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Without close_notify: whether a message is missing, MQTT's own lengths tell.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                done => return done,
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            self.tls.read_tls(socket)?;
            // What came before a broken record is given first.
            self.failed = self.tls.process_new_packets().err().map(io::Error::other);
            // Answers of TLS itself; what the socket does not take now leaves with the next bytes.
            let _ = self.flush(socket);
        }
        Err(ErrorKind::Interrupted.into())
    }

    fn flush(&mut self, socket: &mut dyn Socket) -> io::Result<()> {
        while self.tls.wants_write() {
            if self.tls.write_tls(socket)? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// A peer that hangs up may have said why: its alert is read before the socket's error is told.
    fn reason(&mut self, socket: &mut dyn Socket, error: io::Error) -> io::Error {
        while let Ok(1..) = self.tls.read_tls(socket) {
            if let Err(alert) = self.tls.process_new_packets() {
                return io::Error::other(alert);
            }
        }
        error
    }

    /// The connection ended within the handshake.
    fn cut(&self, error: &io::Error) -> TlsTrouble {
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
            return words::tell(error, &self.view());
        }
        if self.heard {
            let how = if error.kind() == ErrorKind::UnexpectedEof { "it was closed".into() } else { plain(error) };
            return TlsTrouble::new(Cause::Cut, format!("the connection ended within the handshake: {how}"));
        }
        let why =
            "the peer hung up at the first TLS message, as a port without TLS does, or a broker that is not ready";
        TlsTrouble::new(Cause::NotTls, why)
    }

    fn view(&self) -> View<'_> {
        View {
            name: &self.name,
            verifier: &self.verifier,
            asked: self.client.asked.load(Ordering::Relaxed),
            has_certificate: self.client.has_key,
        }
    }
}

/// Our certificate, and whether it was asked for.
#[derive(Debug)]
struct Client {
    key: Weak<CertifiedKey>,
    has_key: bool,
    asked: AtomicBool,
}

impl Client {
    fn new(key: Option<&Arc<CertifiedKey>>) -> Self {
        let has_key = key.is_some();
        Self { key: key.map(Arc::downgrade).unwrap_or_default(), has_key, asked: AtomicBool::new(false) }
    }
}

impl ResolvesClientCert for Client {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.key.upgrade()
    }

    fn has_certs(&self) -> bool {
        self.has_key
    }
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
