//! Certificates of a mesh: a root, one leaf per service account with nothing but a SPIFFE URI in it (Istio's are like
//! that: empty subject, 24 hours), a root nobody trusts, and a web root for the names that outsiders see.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use super::{clock, error::MeshError};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, PEM.
    pub(crate) root: String,
}

/// A certificate and its key, both PEM.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    /// A new authority named by its organization, like Istio's.
    pub(crate) fn new(organization: &str) -> Result<Self, MeshError> {
        let mut params = params(DAY)?;
        params.distinguished_name.push(DnType::OrganizationName, organization);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), root })
    }

    /// The certificate of a workload.
    pub(crate) fn workload(&self, spiffe: &str) -> Result<Leaf, MeshError> {
        self.leaf(SanType::URI(spiffe.try_into()?), DAY)
    }

    /// The certificate of a workload whose 24 hours are over.
    pub(crate) fn expired(&self, spiffe: &str) -> Result<Leaf, MeshError> {
        self.leaf(SanType::URI(spiffe.try_into()?), Duration::ZERO)
    }

    /// The certificate of a web server.
    pub(crate) fn server(&self, name: &str) -> Result<Leaf, MeshError> {
        self.leaf(SanType::DnsName(name.try_into()?), DAY)
    }

    fn leaf(&self, name: SanType, left: Duration) -> Result<Leaf, MeshError> {
        let mut params = params(left)?;
        params.subject_alt_names.push(name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        Ok(Leaf { certificate: params.signed_by(&key, &self.issuer)?.pem(), key: key.serialize_pem() })
    }
}

/// Valid since a day ago (less an hour) and until `left` from now (less an hour, so that zero means expired).
fn params(left: Duration) -> Result<CertificateParams, MeshError> {
    let mut params = CertificateParams::new(Vec::new())?;
    let now = clock::now();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(DAY);
    params.not_after = epoch + (now + left).saturating_sub(HOUR);
    params.distinguished_name = DistinguishedName::new();
    Ok(params)
}
