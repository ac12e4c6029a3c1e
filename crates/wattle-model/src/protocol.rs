//! What is spoken on a port.

/// Application protocol of a port: declared by whoever owns it, or to be detected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Not declared: the proxy looks at the first bytes, whichever side sends them.
    #[default]
    Detect,
    /// Opaque bytes; never inspected.
    Tcp,
    /// The application's own TLS; opaque, but a ClientHello comes first.
    Tls,
    /// HTTP/1.x.
    Http1,
    /// HTTP/2 in clear text with prior knowledge.
    Http2,
    /// gRPC: HTTP/2 whose outcome is in `grpc-status`.
    Grpc,
}

impl Protocol {
    /// True when requests on the port are HTTP of any version.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http1 | Self::Http2 | Self::Grpc)
    }

    /// The name used in manifests (`appProtocol`), logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Http1 => "http",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
        }
    }
}
