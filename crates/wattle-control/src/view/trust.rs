//! Authority, rotation and certificates.

use serde::{Deserialize, Serialize};

/// Where a rotation stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotationView {
    /// `steady`; `spreading`: the next root is being made known; `renewing`: certificates of an earlier issuer are in use.
    pub stage: String,
    /// Who signs.
    pub signing: AuthorityView,
    /// It has ended: a repair is needed.
    pub expired: bool,
    /// The issuer comes from files.
    pub from_files: bool,
    /// Who will sign, once its root is known.
    pub next: Option<PhaseView>,
    /// Who signed what is still in use.
    pub retiring: Vec<PhaseView>,
    /// Certificates of workloads that are valid now.
    pub certificates: usize,
    /// Holders of certificates who do not know the next root yet.
    pub unaware: usize,
    /// Those among them who are connected.
    pub unaware_connected: usize,
    /// Certificates of an earlier issuer.
    pub outdated: usize,
    /// Names of the workloads that are waited for, at most 50.
    pub awaited: Vec<String>,
    /// What is wrong with files; the last good ones are in force.
    pub problems: Vec<String>,
}

/// An issuer and its root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityView {
    /// First half of the SHA-256 of the issuer's certificate, hexadecimal.
    pub issuer: String,
    /// When the first certificate of its chain ends, seconds since 1970.
    pub not_after_secs: u64,
    /// The same of the root as of the issuer.
    pub root: String,
    /// When the root ends, seconds since 1970.
    pub root_not_after_secs: u64,
}

/// An authority that is not yet or not any more the one that signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseView {
    /// Which.
    pub authority: AuthorityView,
    /// When it became so, seconds since 1970.
    pub since_secs: u64,
    /// When that ends at the latest, seconds since 1970.
    pub until_secs: u64,
}

/// What is to be replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotationRequest {
    /// `root` or `issuer`.
    pub replace: String,
    /// Do not wait for workloads that are not connected, default false.
    #[serde(default)]
    pub skip_absent: bool,
}

/// A workload's newest certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateView {
    /// Its SPIFFE name.
    pub identity: String,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Who signed it, as [`AuthorityView::issuer`]; `accepted roots` for another authority under those.
    pub issuer: String,
    /// Signed by the issuer that signs now.
    pub current: bool,
    /// When it was given, seconds since 1970; 0 where another authority did.
    pub issued_secs: u64,
    /// When it ends, seconds since 1970.
    pub not_after_secs: u64,
    /// Its holder has a discovery stream open.
    pub connected: bool,
}
