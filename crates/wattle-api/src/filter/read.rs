//! Decoding of filters.

use super::{Filter, FilterTypes, Header, HeaderModifier, PathModifier, Redirect, Rewrite, cors, mirror};
use crate::decode::{Cursor, Decoded, Fields, one_of};
use crate::matching::{MAX_PATH, bounded};
use crate::scalar;
use crate::tree::quote;

/// Most filters, header matches or header changes of a kind (Gateway API).
const MAX_ITEMS: usize = 16;

pub(crate) fn filters(cursor: &Cursor<'_>, types: FilterTypes) -> Decoded<Vec<Filter>> {
    let filters = cursor.list(MAX_ITEMS, |at| filter(at, types))?;
    for (index, filter) in filters.iter().enumerate() {
        let name = filter.type_name();
        let repeats = filters[..index].iter().any(|other| other.type_name() == name);
        if repeats && !matches!(name, "RequestMirror" | "ExtensionRef") {
            return Err(cursor.refuse("incompatible-filters", format!("{name} can be given only once")));
        }
    }
    let has = |name| filters.iter().any(|filter| filter.type_name() == name);
    if has("RequestRedirect") && has("URLRewrite") {
        let reason = "RequestRedirect and URLRewrite exclude each other";
        return Err(cursor.refuse_with("incompatible-filters", reason, "remove one of the two"));
    }
    Ok(filters)
}

fn filter(cursor: &Cursor<'_>, types: FilterTypes) -> Decoded<Filter> {
    let known: Vec<_> = std::iter::once("type")
        .chain(types.iter().map(|(_, key)| *key))
        .collect();
    let fields = cursor.fields(&known)?;
    let table: Vec<_> = types.iter().map(|entry| (entry.0, *entry)).collect();
    let (name, key) = fields.required("type", |at| scalar::word(at, &table))?;
    for (_, other) in types.iter().filter(|(_, other)| *other != key) {
        if fields.at(other).is_some() {
            let reason = format!("a filter of type {name} cannot have {other}");
            return Err(cursor.refuse_with("incompatible-filters", reason, "make it a filter of its own"));
        }
    }
    content(&fields, name, key)
}

fn content(fields: &Fields<'_>, name: &'static str, key: &str) -> Decoded<Filter> {
    match name {
        "RequestHeaderModifier" => fields
            .required(key, header_modifier)
            .map(Filter::RequestHeaderModifier),
        "ResponseHeaderModifier" => fields
            .required(key, header_modifier)
            .map(Filter::ResponseHeaderModifier),
        "RequestRedirect" => fields.required(key, redirect).map(Filter::RequestRedirect),
        "URLRewrite" => fields.required(key, rewrite).map(Filter::UrlRewrite),
        "RequestMirror" => fields.required(key, mirror::mirror).map(Filter::RequestMirror),
        "CORS" => fields.required(key, cors::cors).map(Filter::Cors),
        _ => fields.required(key, |at| {
            let reason = format!("the filter {name} is not supported yet");
            at.warn(
                "unsupported-filter",
                reason,
                "remove the filter; until then requests of this rule are refused",
            );
            Ok(Filter::Unsupported(name))
        }),
    }
}

fn header_modifier(cursor: &Cursor<'_>) -> Decoded<HeaderModifier> {
    let fields = cursor.fields(&["set", "add", "remove"])?;
    let set = fields.list("set", MAX_ITEMS, header);
    let add = fields.list("add", MAX_ITEMS, header);
    let remove = fields.list("remove", MAX_ITEMS, scalar::header_name);
    Ok(HeaderModifier {
        set: set?,
        add: add?,
        remove: remove?,
    })
}

fn header(cursor: &Cursor<'_>) -> Decoded<Header> {
    let fields = cursor.fields(&["name", "value"])?;
    let name = fields.required("name", scalar::header_name);
    let value = fields.required("value", |at| {
        let value = bounded(at, 4096)?;
        match http::HeaderValue::from_str(&value) {
            Ok(_) => Ok(value),
            Err(_) => Err(at.refuse(
                "invalid-header",
                "found characters that a header value cannot have",
            )),
        }
    });
    Ok(Header {
        name: name?,
        value: value?,
    })
}

fn redirect(cursor: &Cursor<'_>) -> Decoded<Redirect> {
    let fields = cursor.fields(&["scheme", "hostname", "path", "port", "statusCode"])?;
    let scheme = fields.optional("scheme", |at| {
        scalar::word(at, &[("http", "http"), ("https", "https")])
    });
    let hostname = fields.optional("hostname", |at| scalar::hostname(at, false));
    let path = fields.optional("path", path_modifier);
    let port = fields.optional("port", scalar::port);
    let status_code = fields.optional("statusCode", |at| match scalar::count(at, 301, 308)? {
        code @ (301 | 302 | 303 | 307 | 308) => Ok(code as u16),
        other => Err(one_of(
            at,
            &other.to_string(),
            &["301", "302", "303", "307", "308"],
        )),
    });
    Ok(Redirect {
        scheme: scheme?,
        hostname: hostname?,
        path: path?,
        port: port?,
        status_code: status_code?.unwrap_or(302),
    })
}

fn rewrite(cursor: &Cursor<'_>) -> Decoded<Rewrite> {
    let fields = cursor.fields(&["hostname", "path"])?;
    let hostname = fields.optional("hostname", |at| scalar::hostname(at, false));
    let path = fields.optional("path", path_modifier);
    Ok(Rewrite {
        hostname: hostname?,
        path: path?,
    })
}

fn path_modifier(cursor: &Cursor<'_>) -> Decoded<PathModifier> {
    let fields = cursor.fields(&["type", "replaceFullPath", "replacePrefixMatch"])?;
    let full = fields.required("type", |at| {
        scalar::word(at, &[("ReplaceFullPath", true), ("ReplacePrefixMatch", false)])
    })?;
    let (key, other) = if full {
        ("replaceFullPath", "replacePrefixMatch")
    } else {
        ("replacePrefixMatch", "replaceFullPath")
    };
    if fields.at(other).is_some() {
        return Err(cursor.refuse(
            "incompatible-filters",
            format!("{other} does not belong to this type"),
        ));
    }
    let value = fields.required(key, replacement)?;
    Ok(if full {
        PathModifier::ReplaceFullPath(value)
    } else {
        PathModifier::ReplacePrefixMatch(value)
    })
}

/// A new path; empty is allowed and means that the matched prefix goes.
fn replacement(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::text(cursor)?;
    if text.len() > MAX_PATH
        || text
            .bytes()
            .any(|byte| !(0x21..0x7f).contains(&byte) || b"#?".contains(&byte))
    {
        let reason = format!(
            "found {}, expected at most 1024 characters that a URL path may have",
            quote(&text)
        );
        return Err(cursor.refuse("invalid-path", reason));
    }
    Ok(text)
}
