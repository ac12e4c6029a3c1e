//! Which protocol a port speaks: `appProtocol` first, then the prefix of the port's name, as Istio reads it.

use wattle_model::Protocol;

/// The declared protocol; [`Protocol::Detect`] when neither says.
pub(crate) fn declared(app_protocol: Option<&str>, name: Option<&str>) -> Protocol {
    app_protocol
        .and_then(of_app_protocol)
        .or_else(|| name.and_then(of_name))
        .unwrap_or_default()
}

/// The protocol that `appProtocol` names; `None` when it is not one we know.
pub(crate) fn of_app_protocol(text: &str) -> Option<Protocol> {
    match text.to_ascii_lowercase().as_str() {
        "kubernetes.io/h2c" | "h2c" => Some(Protocol::Http2),
        "kubernetes.io/ws" | "ws" => Some(Protocol::Http1),
        "kubernetes.io/wss" | "wss" => Some(Protocol::Tls),
        "linkerd.io/opaque" | "linkerd.io/tcp" => Some(Protocol::Tcp),
        other => word(other),
    }
}

fn of_name(name: &str) -> Option<Protocol> {
    if name == "grpc-web" || name.starts_with("grpc-web-") {
        return Some(Protocol::Http1);
    }
    word(name.split('-').next()?)
}

fn word(text: &str) -> Option<Protocol> {
    Some(match text {
        "http" | "http1" | "grpc-web" => Protocol::Http1,
        "http2" => Protocol::Http2,
        "grpc" => Protocol::Grpc,
        "https" | "tls" => Protocol::Tls,
        "tcp" | "mongo" | "mongodb" | "redis" | "mysql" | "mariadb" | "postgres" | "postgresql" | "amqp"
        | "kafka" => Protocol::Tcp,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_protocol_wins_over_the_name_and_the_name_over_nothing() {
        let table = [
            (Some("http"), Some("tcp"), Protocol::Http1),
            (Some("kubernetes.io/h2c"), None, Protocol::Http2),
            (Some("kubernetes.io/ws"), None, Protocol::Http1),
            (Some("HTTPS"), None, Protocol::Tls),
            (Some("linkerd.io/opaque"), Some("http"), Protocol::Tcp),
            (Some("made.up/thing"), Some("grpc-api"), Protocol::Grpc),
            (None, Some("http"), Protocol::Http1),
            (None, Some("http-metrics"), Protocol::Http1),
            (None, Some("http2-api"), Protocol::Http2),
            (None, Some("grpc-web"), Protocol::Http1),
            (None, Some("mysql"), Protocol::Tcp),
            (None, Some("httpd"), Protocol::Detect),
            (None, Some("web"), Protocol::Detect),
            (None, None, Protocol::Detect),
        ];
        for (app_protocol, name, expected) in table {
            assert_eq!(
                declared(app_protocol, name),
                expected,
                "{app_protocol:?} {name:?}"
            );
        }
    }
}
