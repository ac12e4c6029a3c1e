//! Names: a trust domain, and a workload within it.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

const SCHEME: &str = "spiffe://";
/// SPIFFE-ID section 2.1: a trust domain name has at most 255 bytes.
const MAX_TRUST_DOMAIN: usize = 255;
/// A Kubernetes namespace is a DNS label.
const MAX_NAMESPACE: usize = 63;
/// A Kubernetes service account is a DNS subdomain.
const MAX_SERVICE_ACCOUNT: usize = 253;

/// Why a text is not a name of a workload or of a trust domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpiffeError {
    /// The trust domain is empty, too long (255 bytes) or holds a character outside `a-z 0-9 . - _`.
    #[error("trust domain is not 1 to 255 characters of a-z, 0-9, '.', '-', '_'")]
    TrustDomain,
    /// The namespace or service account is empty, too long, a dot segment, or holds a character outside SPIFFE's path set.
    #[error("{part} is not 1 to {limit} characters of a-z, A-Z, 0-9, '.', '-', '_'")]
    Segment {
        /// Which part: `namespace` or `service account`.
        part: &'static str,
        /// Longest allowed length in bytes.
        limit: usize,
    },
    /// The text does not have the form of a mesh workload's name.
    #[error("name is not of the form spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT")]
    Form,
}

/// The name of a group of workloads under one root of trust (SPIFFE-ID section 2.1); always lower case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// Checks and takes a name such as `cluster.local`; upper case is refused, not folded.
    pub fn new(name: &str) -> Result<Self, SpiffeError> {
        check_trust_domain(name)?;
        Ok(Self(name.into()))
    }

    /// The bare name, without scheme.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The trust domain's own SPIFFE ID, which a signing certificate carries (X509-SVID section 3.1).
    pub(crate) fn uri(&self) -> String {
        format!("{SCHEME}{}", self.0)
    }
}

impl FromStr for TrustDomain {
    type Err = SpiffeError;
    fn from_str(text: &str) -> Result<Self, SpiffeError> {
        Self::new(text)
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Maps keyed by trust domain are looked up with the `&str` that a [`SpiffeId`] lends.
impl Borrow<str> for TrustDomain {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The name of a workload, `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`; cloning shares the text.
#[derive(Clone)]
pub struct SpiffeId {
    uri: Arc<str>,
    domain_end: u16,
    namespace_end: u16,
}

impl SpiffeId {
    /// Builds the name of a service account, checking each part.
    pub fn new(
        trust_domain: &TrustDomain,
        namespace: &str,
        service_account: &str,
    ) -> Result<Self, SpiffeError> {
        check_segment("namespace", namespace, MAX_NAMESPACE)?;
        check_segment("service account", service_account, MAX_SERVICE_ACCOUNT)?;
        Ok(Self::assemble(trust_domain.as_str(), namespace, service_account))
    }

    /// Only for parts that were checked: their limits keep every offset far below 65,536.
    fn assemble(domain: &str, namespace: &str, account: &str) -> Self {
        let domain_end = SCHEME.len() + domain.len();
        let namespace_end = domain_end + "/ns/".len() + namespace.len();
        Self {
            uri: format!("{SCHEME}{domain}/ns/{namespace}/sa/{account}").into(),
            domain_end: domain_end as u16,
            namespace_end: namespace_end as u16,
        }
    }

    /// The full URI, as it stands in a certificate.
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// The URI without its scheme, `TD/ns/NS/sa/SA`: the form that Istio's `principals` match on.
    pub fn principal(&self) -> &str {
        self.uri.get(SCHEME.len()..).unwrap_or_default()
    }

    /// The name of the trust domain.
    pub fn trust_domain(&self) -> &str {
        self.uri
            .get(SCHEME.len()..self.domain_end.into())
            .unwrap_or_default()
    }

    /// The namespace, as in Kubernetes.
    pub fn namespace(&self) -> &str {
        let start = usize::from(self.domain_end) + "/ns/".len();
        self.uri.get(start..self.namespace_end.into()).unwrap_or_default()
    }

    /// The service account, as in Kubernetes.
    pub fn service_account(&self) -> &str {
        let start = usize::from(self.namespace_end) + "/sa/".len();
        self.uri.get(start..).unwrap_or_default()
    }

    /// Whether this workload belongs to that trust domain.
    pub fn is_in(&self, trust_domain: &TrustDomain) -> bool {
        self.trust_domain() == trust_domain.as_str()
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeError;

    fn from_str(text: &str) -> Result<Self, SpiffeError> {
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeError::Form)?;
        let mut segments = rest.split('/');
        let mut next = || segments.next().ok_or(SpiffeError::Form);
        let (domain, ns, namespace, sa, account) = (next()?, next()?, next()?, next()?, next()?);
        if (ns, sa) != ("ns", "sa") || segments.next().is_some() {
            return Err(SpiffeError::Form);
        }
        check_trust_domain(domain)?;
        check_segment("namespace", namespace, MAX_NAMESPACE)?;
        check_segment("service account", account, MAX_SERVICE_ACCOUNT)?;
        Ok(Self::assemble(domain, namespace, account))
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

// The URI alone decides: the offsets follow from it.
impl PartialEq for SpiffeId {
    fn eq(&self, other: &Self) -> bool {
        self.uri == other.uri
    }
}

impl Eq for SpiffeId {}

impl std::hash::Hash for SpiffeId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.uri.hash(state);
    }
}

impl Ord for SpiffeId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.uri.cmp(&other.uri)
    }
}

impl PartialOrd for SpiffeId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

fn check_trust_domain(name: &str) -> Result<(), SpiffeError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b);
    let fits = (1..=MAX_TRUST_DOMAIN).contains(&name.len());
    if fits && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(SpiffeError::TrustDomain)
    }
}

/// SPIFFE-ID section 2.2: segments are letters, digits, dot, dash and underscore, and never `.` or `..`.
fn check_segment(part: &'static str, text: &str, limit: usize) -> Result<(), SpiffeError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    let fits = (1..=limit).contains(&text.len()) && text != "." && text != "..";
    if fits && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(SpiffeError::Segment { part, limit })
    }
}
