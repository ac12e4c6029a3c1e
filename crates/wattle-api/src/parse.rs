//! A file's text in, its objects and what is to be said about them out.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::decode::{Cursor, Decoded};
use crate::diagnostic::{Diagnostic, Finding, Place, Severity};
use crate::document::{self, Document};
use crate::header::{header, list_items};
use crate::key::{Kind, ObjectKey};
use crate::known::KnownField;
use crate::meta::{Meta, Origin};
use crate::object::Object;
use crate::registry::{self, Known};
use crate::report::Report;
use crate::tree::{self, Node, Value};
use crate::{config_map, datagrams, linkerd_annotations, mesh_config, scalar};

mod kinds;

use kinds::spec;

/// Largest file that is read, in bytes.
pub const MAX_FILE_BYTES: usize = 4 << 20;
/// Most documents of one file that are read.
const MAX_DOCUMENTS: usize = 10_000;
/// Most diagnostics of one file that are kept.
const MAX_DIAGNOSTICS: usize = 1_000;

/// What a file holds.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// The good objects, in the order of the file.
    pub objects: Vec<Object>,
    /// The objects that are there but cannot be used.
    pub refused: Vec<Refused>,
    /// What is to be said, in the order of the file, at most 1000.
    pub diagnostics: Vec<Diagnostic>,
}

/// An object that is written in a file but cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its key, when it could still be read; without one it may be any object of the file.
    pub key: Option<ObjectKey>,
    /// Where it starts.
    pub at: Place,
}

/// Parses a file whose objects are in namespace `default` unless they say otherwise.
#[must_use]
pub fn parse(text: &str, file: &str) -> Parsed {
    parse_in(text, file, "default")
}

/// Parses bytes of any kind; the entry for fuzzing.
#[must_use]
pub fn parse_bytes(bytes: &[u8], file: &str) -> Parsed {
    parse_bytes_in(bytes, file, "default")
}

/// Parses bytes that may not be text, whose objects are in `namespace` unless they say otherwise.
#[must_use]
pub fn parse_bytes_in(bytes: &[u8], file: &str, namespace: &str) -> Parsed {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse_in(text, file, namespace),
        Err(error) => {
            let line = bytes[..error.valid_up_to()]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            let at = Place {
                line: u32::try_from(line).unwrap_or(u32::MAX),
                column: 1,
            };
            let mut parser = Parser::new(file, namespace);
            parser.refuse(
                None,
                Finding::new("not-text", at, "", "found bytes that are not UTF-8 text"),
            );
            parser.parsed
        }
    }
}

/// Parses a file whose objects are in `namespace` unless they say otherwise.
#[must_use]
pub fn parse_in(text: &str, file: &str, namespace: &str) -> Parsed {
    let mut parser = Parser::new(file, namespace);
    let start = Place { line: 1, column: 1 };
    if text.len() > MAX_FILE_BYTES {
        let reason = format!("found {} bytes, expected at most {MAX_FILE_BYTES}", text.len());
        parser.refuse(
            None,
            Finding::new("too-large", start, "", reason).hint("split the file"),
        );
        return parser.parsed;
    }
    let documents = document::split(text.trim_start_matches('\u{feff}'));
    if documents.len() > MAX_DOCUMENTS {
        let reason = format!(
            "found {} documents, expected at most {MAX_DOCUMENTS}",
            documents.len()
        );
        parser.refuse(
            None,
            Finding::new("too-large", start, "", reason).hint("split the file"),
        );
        return parser.parsed;
    }
    for (index, document) in documents.iter().enumerate() {
        parser.document = index;
        parser.read(document);
    }
    parser.parsed
}

/// The fields that the decoders of a file's objects know, by kind and path; for documentation and tests. What only
/// some forms of an object may have is known when the text has such a form.
#[must_use]
pub fn fields_of(text: &str) -> Vec<KnownField> {
    let mut parser = Parser::new("", "default");
    parser.known = Some(BTreeMap::new());
    for document in document::split(text) {
        parser.read(&document);
    }
    let known = parser.known.into_iter().flatten();
    known
        .map(|((kind, path), written)| KnownField { kind, path, written })
        .collect()
}

struct Parser {
    file: Arc<str>,
    namespace: Arc<str>,
    document: usize,
    parsed: Parsed,
    /// The fields that decoders know, where somebody asks.
    known: Option<BTreeMap<(Kind, String), bool>>,
}

impl Parser {
    fn new(file: &str, namespace: &str) -> Self {
        Self {
            file: file.into(),
            namespace: namespace.into(),
            document: 0,
            parsed: Parsed::default(),
            known: None,
        }
    }

    fn read(&mut self, document: &Document<'_>) {
        match tree::parse(document.text, document.first_line) {
            Err((at, reason)) => {
                let key = document::guess_key(document.text, &self.namespace);
                self.refuse(key, Finding::new("invalid-yaml", at, "", reason));
            }
            Ok(Node {
                value: Value::Null, ..
            }) => {}
            Ok(root) => match list_items(&root) {
                Some(items) => items.iter().for_each(|item| self.object(item)),
                None => self.object(&root),
            },
        }
    }

    fn object(&mut self, root: &Node) {
        match header(root) {
            Err(finding) => self.refuse(None, finding),
            Ok(header) => match registry::find(header.group, header.version, header.kind) {
                Known::Kind(Kind::ConfigMap) => self.config_map(root),
                Known::Kind(kind) => self.decode(kind, root),
                Known::Refused(finding) => {
                    let at = root.child("kind").map_or(root.at, |kind| kind.at);
                    self.refuse(None, Finding { at, ..finding });
                }
                Known::Version(kind, finding) => {
                    let at = root.child("apiVersion").map_or(root.at, |version| version.at);
                    self.refuse(self.salvage(kind, root), Finding { at, ..finding });
                }
                Known::Skipped(severity, finding) => {
                    let at = root.child("kind").map_or(root.at, |kind| kind.at);
                    self.say(Finding { at, ..finding }.about(severity, None, Arc::clone(&self.file)));
                }
            },
        }
    }

    /// A ConfigMap, which may be anybody's.
    fn config_map(&mut self, root: &Node) {
        if !config_map::concerns_the_mesh(root) {
            let at = root.child("kind").map_or(root.at, |kind| kind.at);
            let finding = Finding {
                at,
                ..registry::other_config_map()
            };
            return self.say(finding.about(Severity::Info, None, Arc::clone(&self.file)));
        }
        if !mesh_config::is_istios(root) {
            return self.decode(Kind::ConfigMap, root);
        }
        match mesh_config::unfolded(root) {
            Ok(unfolded) => self.decode(Kind::ConfigMap, &unfolded),
            Err(finding) => self.refuse(self.salvage(Kind::ConfigMap, root), finding),
        }
    }

    fn decode(&mut self, kind: Kind, root: &Node) {
        let report = match self.known {
            Some(_) => Report::recording(),
            None => Report::default(),
        };
        let cursor = Cursor::root(root, &report);
        let decoded = self.resource(kind, &cursor);
        let warnings = report.warnings();
        match decoded {
            Ok(object) if !report.failed() => {
                let annotations = linkerd_annotations::findings(object.meta(), object.origin());
                let datagrams = datagrams::finding(object.meta(), object.origin());
                for warning in warnings.into_iter().chain(annotations).chain(datagrams) {
                    self.say(warning.about(Severity::Warning, Some(object.key()), Arc::clone(&self.file)));
                }
                self.parsed.objects.push(object);
            }
            _ => self.refuse_all(self.salvage(kind, root), root.at, report.errors()),
        }
        if let Some(known) = &mut self.known {
            report.into_record().merge_into(kind, known);
        }
    }

    fn resource(&self, kind: Kind, cursor: &Cursor<'_>) -> Decoded<Object> {
        let fields = cursor.fields(registry::top_fields(kind))?;
        let meta = fields.required("metadata", |at| self.meta(kind, at));
        let origin = || {
            Origin::new(
                Arc::clone(&self.file),
                self.document,
                cursor.node.at,
                cursor.places(),
            )
        };
        let object = spec(kind, &fields, meta, origin)?;
        Ok(object)
    }

    fn meta(&self, kind: Kind, cursor: &Cursor<'_>) -> Decoded<Meta> {
        let fields = cursor.fields(registry::META_FIELDS)?;
        let rule = registry::name_rule(kind);
        let name = fields.required("name", rule);
        let namespace = fields.optional("namespace", |at| match kind.namespaced() {
            true => scalar::label(at),
            false => Err(at.refuse("unknown-field", format!("a {kind} is not in a namespace"))),
        });
        let labels = fields.optional("labels", scalar::labels);
        let annotations = fields.optional("annotations", scalar::texts);
        let creation_timestamp = fields.optional("creationTimestamp", scalar::timestamp);
        let mut annotations = annotations?.unwrap_or_default();
        // A copy of the object in itself: long, and different whenever anything is.
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        Ok(Meta {
            name: name?.into(),
            namespace: match namespace? {
                Some(namespace) => namespace.into(),
                None if kind.namespaced() => Arc::clone(&self.namespace),
                None => "".into(),
            },
            labels: labels?.unwrap_or_default(),
            annotations,
            creation_timestamp: creation_timestamp?,
        })
    }

    /// The key of an object that could not be decoded, if that much of it is sound.
    fn salvage(&self, kind: Kind, root: &Node) -> Option<ObjectKey> {
        let meta = root.child("metadata")?;
        let name = meta
            .child("name")?
            .text()
            .filter(|name| scalar::is_subdomain(name))?;
        let namespace = match meta.child("namespace").map(|at| &at.value) {
            _ if !kind.namespaced() => "",
            Some(Value::Text(namespace)) => namespace,
            Some(Value::Null) | None => &self.namespace,
            Some(_) => return None,
        };
        Some(ObjectKey::new(kind, namespace, name))
    }

    fn refuse(&mut self, key: Option<ObjectKey>, finding: Finding) {
        let at = finding.at;
        self.refuse_all(key, at, vec![finding]);
    }

    fn refuse_all(&mut self, key: Option<ObjectKey>, at: Place, findings: Vec<Finding>) {
        self.parsed.refused.push(Refused { key: key.clone(), at });
        let mut findings = findings.into_iter();
        if let Some(first) = findings.next() {
            let mut diagnostic = first.about(Severity::Error, key, Arc::clone(&self.file));
            diagnostic.more = findings.collect();
            self.say(diagnostic);
        }
    }

    fn say(&mut self, diagnostic: Diagnostic) {
        if self.parsed.diagnostics.len() < MAX_DIAGNOSTICS {
            self.parsed.diagnostics.push(diagnostic);
        }
    }
}
