//! Gateway API BackendTLSPolicy: connections to a backend are TLS, and how its certificate is checked (GEP-1897).

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded, Fields};
use crate::meta::Labels;
use crate::reference::{PolicyTarget, Sections, group, policy_targets};
use crate::scalar;
use crate::tree::quote;

/// Most references to CA certificates (Gateway API).
const MAX_CA_REFS: usize = 8;
/// Most alternative names (Gateway API).
const MAX_NAMES: usize = 5;
/// Most options (Gateway API).
const MAX_OPTIONS: usize = 16;
/// Longest URI or name in bytes (Gateway API).
const MAX_TEXT: usize = 253;

/// `spec` of a BackendTLSPolicy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendTlsPolicy {
    /// The Services it is for, or single ports of them; at least one.
    pub target_refs: Vec<PolicyTarget>,
    /// How the backend's certificate is checked.
    pub validation: TlsValidation,
    /// Options of implementations; none of them means anything here.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub options: Labels,
}

/// How a backend's certificate is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsValidation {
    /// Sent as SNI; also the name the certificate must have unless `subjectAltNames` says which.
    pub hostname: String,
    /// Who may have signed the certificate.
    #[serde(flatten)]
    pub authorities: CaCertificates,
    /// Names of which the certificate must have one; at most 5.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_alt_names: Vec<SubjectAltName>,
}

/// Who may have signed a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum CaCertificates {
    /// The certificates of these objects; 1 to 8.
    #[serde(rename = "caCertificateRefs")]
    Refs(Vec<CaCertificateRef>),
    /// A set by its name: `System`, or the name of somebody's own, which must fail here.
    #[serde(rename = "wellKnownCACertificates")]
    WellKnown(String),
}

/// An object that holds CA certificates, in the policy's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaCertificateRef {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind; the API demands only ConfigMap, with the key `ca.crt`.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// A name a certificate may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectAltName {
    /// A DNS name, perhaps with `*.` in front.
    Hostname(String),
    /// A URI, such as a SPIFFE ID.
    Uri(String),
}

impl Serialize for SubjectAltName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, key, value) = match self {
            Self::Hostname(name) => ("Hostname", "hostname", name),
            Self::Uri(uri) => ("URI", "uri", uri),
        };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", name)?;
        map.serialize_entry(key, value)?;
        map.end()
    }
}

pub(crate) fn backend_tls_policy(cursor: &Cursor<'_>) -> Decoded<BackendTlsPolicy> {
    let fields = cursor.fields(&["targetRefs", "validation", "options"])?;
    fields.without_effect(&["options"]);
    let target_refs = policy_targets(&fields, Sections::Named);
    let validation = fields.required("validation", validation);
    let options = fields.optional("options", options);
    Ok(BackendTlsPolicy {
        target_refs: target_refs?,
        validation: validation?,
        options: options?.unwrap_or_default(),
    })
}

fn options(cursor: &Cursor<'_>) -> Decoded<Labels> {
    let options = scalar::texts(cursor)?;
    if options.len() > MAX_OPTIONS {
        let reason = format!("found {} options, expected at most {MAX_OPTIONS}", options.len());
        return Err(cursor.refuse("too-many", reason));
    }
    Ok(options)
}

fn validation(cursor: &Cursor<'_>) -> Decoded<TlsValidation> {
    let known = [
        "caCertificateRefs",
        "wellKnownCACertificates",
        "hostname",
        "subjectAltNames",
    ];
    let fields = cursor.fields(&known)?;
    let hostname = fields.required("hostname", |at| scalar::hostname(at, false));
    let authorities = authorities(&fields, cursor);
    let subject_alt_names = fields.list("subjectAltNames", MAX_NAMES, alt_name);
    Ok(TlsValidation {
        hostname: hostname?,
        authorities: authorities?,
        subject_alt_names: subject_alt_names?,
    })
}

fn authorities(fields: &Fields<'_>, cursor: &Cursor<'_>) -> Decoded<CaCertificates> {
    let refs = fields.list("caCertificateRefs", MAX_CA_REFS, certificate_ref);
    let known = fields.optional("wellKnownCACertificates", well_known);
    match (refs?, known?.flatten()) {
        (refs, None) if !refs.is_empty() => Ok(CaCertificates::Refs(refs)),
        (refs, Some(name)) if refs.is_empty() => Ok(CaCertificates::WellKnown(name)),
        _ => Err(cursor.refuse(
            "incompatible-fields",
            "expected exactly one of caCertificateRefs, wellKnownCACertificates",
        )),
    }
}

fn well_known(cursor: &Cursor<'_>) -> Decoded<Option<String>> {
    let text = scalar::text(cursor)?;
    let own = text
        .split_once('/')
        .is_some_and(|(domain, name)| scalar::is_subdomain(domain) && !name.is_empty());
    match text.as_str() {
        "" => Ok(None),
        "System" => Ok(Some(text)),
        _ if own && text.len() <= MAX_TEXT => Ok(Some(text)),
        _ => {
            let reason = format!("found {}, expected System", quote(&text));
            Err(cursor.refuse("unknown-value", reason))
        }
    }
}

fn certificate_ref(cursor: &Cursor<'_>) -> Decoded<CaCertificateRef> {
    let fields = cursor.fields(&["group", "kind", "name"])?;
    let group = fields.required("group", group);
    let kind = fields.required("kind", scalar::filled);
    let name = fields.required("name", scalar::subdomain);
    Ok(CaCertificateRef {
        group: group?,
        kind: kind?,
        name: name?,
    })
}

fn alt_name(cursor: &Cursor<'_>) -> Decoded<SubjectAltName> {
    let fields = cursor.fields(&["type", "hostname", "uri"])?;
    let is_uri = fields.required("type", |at| {
        scalar::word(at, &[("Hostname", false), ("URI", true)])
    })?;
    let other = if is_uri { "hostname" } else { "uri" };
    if fields.at(other).is_some_and(|at| at.node.text() != Some("")) {
        let reason = format!("{other} does not belong to this type");
        return Err(cursor.refuse("incompatible-fields", reason));
    }
    if is_uri {
        fields.required("uri", uri).map(SubjectAltName::Uri)
    } else {
        let name = fields.required("hostname", |at| scalar::hostname(at, true));
        name.map(SubjectAltName::Hostname)
    }
}

/// An absolute URI: a scheme, `//` and an authority.
fn uri(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::filled(cursor)?;
    let whole = text.split_once("://").is_some_and(|(scheme, rest)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && !rest.is_empty()
            && rest.bytes().all(|byte| byte.is_ascii_graphic())
    });
    if text.len() > MAX_TEXT || !whole {
        let reason = format!(
            "found {}, expected a URI such as spiffe://cluster.local/ns/a/sa/b of at most {MAX_TEXT} bytes",
            quote(&text)
        );
        return Err(cursor.refuse("invalid-uri", reason));
    }
    Ok(text)
}
