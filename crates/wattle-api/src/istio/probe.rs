//! How to tell that a workload of a WorkloadGroup is ready.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded, Fields};
use crate::filter::Header;
use crate::scalar::{self, Port};
use crate::tree::quote;

use super::value::{self, MAX_ITEMS, words};

/// A probe and how often it is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// What is tried.
    #[serde(flatten)]
    pub method: ProbeMethod,
    /// Time before the first try, in whole seconds; default 0.
    #[serde(rename = "initialDelaySeconds", serialize_with = "write_seconds")]
    pub initial_delay: Duration,
    /// How long a try may take, in whole seconds; default 1 s.
    #[serde(rename = "timeoutSeconds", serialize_with = "write_seconds")]
    pub timeout: Duration,
    /// Time between tries, in whole seconds; default 10 s.
    #[serde(rename = "periodSeconds", serialize_with = "write_seconds")]
    pub period: Duration,
    /// Successes in a row that make it ready; default 1.
    pub success_threshold: u32,
    /// Failures in a row that make it not ready; default 3.
    pub failure_threshold: u32,
}

/// What is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ProbeMethod {
    /// A GET is answered with 200 to 399.
    #[serde(rename_all = "camelCase")]
    HttpGet {
        /// Path; default `/`.
        path: String,
        /// Port.
        port: Port,
        /// Host; none means the workload's address.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// Default HTTP.
        scheme: HttpScheme,
        /// Headers of the request, in order.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        http_headers: Vec<Header>,
    },
    /// A connection is accepted.
    TcpSocket {
        /// Host; none means the workload's address.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// Port.
        port: Port,
    },
    /// A command ends with 0.
    Exec {
        /// Program and arguments; never empty.
        command: Vec<String>,
    },
    /// The gRPC health service says SERVING.
    Grpc {
        /// Port.
        port: Port,
        /// Name that is asked for; none means the server as a whole.
        #[serde(skip_serializing_if = "Option::is_none")]
        service: Option<String>,
    },
}

/// The scheme of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpScheme {
    /// Plain.
    #[default]
    Http,
    /// Over TLS, any certificate.
    Https,
}

fn write_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_secs())
}

const METHODS: [&str; 4] = ["httpGet", "tcpSocket", "exec", "grpc"];

pub(crate) fn probe(cursor: &Cursor<'_>) -> Decoded<Probe> {
    let fields = cursor.fields(&[
        "httpGet",
        "tcpSocket",
        "exec",
        "grpc",
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ])?;
    let method = method(&fields);
    let count = |key, default| value::natural(&fields, key).map(|count| count.unwrap_or(default));
    let seconds = |key, default| count(key, default).map(|count| Duration::from_secs(u64::from(count)));
    let initial_delay = seconds("initialDelaySeconds", 0);
    let timeout = seconds("timeoutSeconds", 1);
    let period = seconds("periodSeconds", 10);
    let success_threshold = count("successThreshold", 1);
    let failure_threshold = count("failureThreshold", 3);
    Ok(Probe {
        method: method?,
        initial_delay: initial_delay?,
        timeout: timeout?,
        period: period?,
        success_threshold: success_threshold?,
        failure_threshold: failure_threshold?,
    })
}

fn method(fields: &Fields<'_>) -> Decoded<ProbeMethod> {
    match value::exactly_one(fields, &METHODS)? {
        "httpGet" => fields.required("httpGet", http_get),
        "tcpSocket" => fields.required("tcpSocket", tcp_socket),
        "exec" => fields.required("exec", exec),
        grpc => fields.required(grpc, |at| {
            let fields = at.fields(&["port", "service"])?;
            let port = fields.required("port", scalar::port);
            let service = words(&fields, "service");
            Ok(ProbeMethod::Grpc {
                port: port?,
                service: service?,
            })
        }),
    }
}

fn tcp_socket(cursor: &Cursor<'_>) -> Decoded<ProbeMethod> {
    let fields = cursor.fields(&["host", "port"])?;
    let host = words(&fields, "host");
    let port = fields.required("port", scalar::port);
    Ok(ProbeMethod::TcpSocket {
        host: host?,
        port: port?,
    })
}

fn exec(cursor: &Cursor<'_>) -> Decoded<ProbeMethod> {
    let fields = cursor.fields(&["command"])?;
    let command = fields.required("command", |at| {
        let words = at.list(MAX_ITEMS, scalar::filled)?;
        if words.is_empty() {
            return Err(at.refuse("empty", "found no program, expected at least one word"));
        }
        Ok(words)
    });
    Ok(ProbeMethod::Exec { command: command? })
}

fn http_get(cursor: &Cursor<'_>) -> Decoded<ProbeMethod> {
    let fields = cursor.fields(&["path", "port", "host", "scheme", "httpHeaders"])?;
    let path = fields.optional("path", path);
    let port = fields.required("port", scalar::port);
    let host = words(&fields, "host");
    let scheme = fields.optional("scheme", |at| {
        let words = [
            ("", HttpScheme::Http),
            ("HTTP", HttpScheme::Http),
            ("HTTPS", HttpScheme::Https),
        ];
        scalar::word(at, &words)
    });
    let http_headers = fields.list("httpHeaders", MAX_ITEMS, header);
    Ok(ProbeMethod::HttpGet {
        path: path?.unwrap_or_else(|| "/".to_owned()),
        port: port?,
        host: host?,
        scheme: scheme?.unwrap_or_default(),
        http_headers: http_headers?,
    })
}

fn path(cursor: &Cursor<'_>) -> Decoded<String> {
    let path = scalar::text(cursor)?;
    if path.is_empty() {
        return Ok("/".to_owned());
    }
    if !path.starts_with('/') || path.parse::<http::uri::PathAndQuery>().is_err() {
        let reason = format!("found {}, expected a path that starts with /", quote(&path));
        return Err(cursor.refuse("invalid-path", reason));
    }
    Ok(path)
}

fn header(cursor: &Cursor<'_>) -> Decoded<Header> {
    let fields = cursor.fields(&["name", "value"])?;
    let name = fields.required("name", scalar::header_name);
    let value = fields.optional("value", |at| {
        let text = scalar::text(at)?;
        match http::HeaderValue::from_str(&text) {
            Ok(_) => Ok(text),
            Err(_) => Err(at.refuse(
                "invalid-header",
                format!("found {}, expected a header value", quote(&text)),
            )),
        }
    });
    Ok(Header {
        name: name?,
        value: value?.unwrap_or_default(),
    })
}
