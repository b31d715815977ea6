//! The downstream TLS connection of an entry.

use crate::protocol::wire::{Message, WireError};

/// `TLSProperties`.
#[derive(Debug, Default)]
pub(super) struct Tls<'a> {
    pub(super) version: u64,
    pub(super) cipher: u64,
    pub(super) sni: &'a [u8],
    pub(super) local: Certificate<'a>,
    pub(super) peer: Certificate<'a>,
    pub(super) ja3: &'a [u8],
}

/// `CertificateProperties`.
#[derive(Debug, Default)]
pub(super) struct Certificate<'a> {
    /// The first name of the kind; more of them are joined by commas, as Envoy does.
    pub(super) uri: Names<'a>,
    pub(super) dns: Names<'a>,
    pub(super) subject: &'a [u8],
    pub(super) issuer: &'a [u8],
}

/// Names of one kind: mostly one.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    first: &'a [u8],
    further: Vec<&'a [u8]>,
}

impl<'a> Names<'a> {
    fn add(&mut self, name: &'a [u8]) {
        if self.first.is_empty() { self.first = name } else { self.further.push(name) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// All of them, joined by commas.
    pub(super) fn with(&self, read: impl FnOnce(&[u8])) {
        if self.further.is_empty() {
            return read(self.first);
        }
        let mut all = self.first.to_vec();
        for name in &self.further {
            all.push(b',');
            all.extend_from_slice(name);
        }
        read(&all);
    }
}

impl<'a> Tls<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut tls = Tls::default();
        let mut fields = Message::new(bytes);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => tls.version = value.number(),
                2 => tls.cipher = super::entry::wrapped(value.bytes())?,
                3 => tls.sni = value.bytes(),
                4 => tls.local = Certificate::of(value.bytes())?,
                5 => tls.peer = Certificate::of(value.bytes())?,
                7 => tls.ja3 = value.bytes(),
                _ => {}
            }
        }
        Ok(tls)
    }

    /// As `%DOWNSTREAM_TLS_VERSION%` writes it.
    pub(super) fn version(&self) -> &'static str {
        match self.version {
            1 => "TLSv1",
            2 => "TLSv1.1",
            3 => "TLSv1.2",
            4 => "TLSv1.3",
            _ => "",
        }
    }
}

impl<'a> Certificate<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut certificate = Certificate::default();
        let mut fields = Message::new(bytes);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => {
                    let mut names = Message::new(value.bytes());
                    while let Some((kind, name)) = names.next()? {
                        match kind {
                            1 => certificate.uri.add(name.bytes()),
                            2 => certificate.dns.add(name.bytes()),
                            _ => {}
                        }
                    }
                }
                2 => certificate.subject = value.bytes(),
                3 => certificate.issuer = value.bytes(),
                _ => {}
            }
        }
        Ok(certificate)
    }
}

/// The OpenSSL name, which `%DOWNSTREAM_TLS_CIPHER%` writes, of a cipher suite's number: those that BoringSSL has. Source: the IANA registry "TLS Cipher
/// Suites", names of OpenSSL's `ciphers(1)`.
pub(super) fn cipher(number: u64) -> Option<&'static str> {
    Some(match number {
        0x1301 => "TLS_AES_128_GCM_SHA256",
        0x1302 => "TLS_AES_256_GCM_SHA384",
        0x1303 => "TLS_CHACHA20_POLY1305_SHA256",
        0xc02b => "ECDHE-ECDSA-AES128-GCM-SHA256",
        0xc02c => "ECDHE-ECDSA-AES256-GCM-SHA384",
        0xc02f => "ECDHE-RSA-AES128-GCM-SHA256",
        0xc030 => "ECDHE-RSA-AES256-GCM-SHA384",
        0xcca8 => "ECDHE-RSA-CHACHA20-POLY1305",
        0xcca9 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        0xccac => "ECDHE-PSK-CHACHA20-POLY1305",
        0xc009 => "ECDHE-ECDSA-AES128-SHA",
        0xc00a => "ECDHE-ECDSA-AES256-SHA",
        0xc013 => "ECDHE-RSA-AES128-SHA",
        0xc014 => "ECDHE-RSA-AES256-SHA",
        0xc023 => "ECDHE-ECDSA-AES128-SHA256",
        0xc027 => "ECDHE-RSA-AES128-SHA256",
        0xc035 => "ECDHE-PSK-AES128-CBC-SHA",
        0xc036 => "ECDHE-PSK-AES256-CBC-SHA",
        0x000a => "DES-CBC3-SHA",
        0x002f => "AES128-SHA",
        0x0035 => "AES256-SHA",
        0x003c => "AES128-SHA256",
        0x008c => "PSK-AES128-CBC-SHA",
        0x008d => "PSK-AES256-CBC-SHA",
        0x009c => "AES128-GCM-SHA256",
        0x009d => "AES256-GCM-SHA384",
        _ => return None,
    })
}
