//! Filters and the answers that a rule gives by itself to messages.

use http::{HeaderName, HeaderValue};
use wattle_model::{
    Abort, Cors, CorsList, DirectResponse, Fault, Filters, HeaderModifier, Mirror, PathRewrite, Redirect,
    RedirectPort, UrlRewrite,
};

use super::match_to_mesh::text_matches;
use super::parts_to_mesh::{nanos, text};
use crate::proto::mesh;

pub(super) fn filters(value: &Filters) -> Option<mesh::Filters> {
    (*value != Filters::default()).then(|| filters_always(value))
}

pub(super) fn filters_always(value: &Filters) -> mesh::Filters {
    mesh::Filters {
        request_headers: headers(&value.request_headers),
        response_headers: headers(&value.response_headers),
        rewrite: rewrite(&value.rewrite),
        mirrors: value.mirrors.iter().map(mirror).collect(),
        cors: value.cors.as_deref().map(cors),
        fault: value.fault.as_ref().map(fault),
    }
}

fn headers(value: &HeaderModifier) -> Option<mesh::HeaderModifier> {
    (!value.is_empty()).then(|| mesh::HeaderModifier {
        set: value.set.iter().map(header).collect(),
        add: value.add.iter().map(header).collect(),
        remove: value.remove.iter().map(ToString::to_string).collect(),
    })
}

pub(super) fn header((name, value): &(HeaderName, HeaderValue)) -> mesh::Header {
    mesh::Header {
        name: name.to_string(),
        value: value.as_bytes().to_vec(),
    }
}

fn rewrite(value: &UrlRewrite) -> Option<mesh::UrlRewrite> {
    (!value.is_empty()).then(|| mesh::UrlRewrite {
        host: text(value.host.as_deref()),
        path: value.path.as_ref().map(path_rewrite),
    })
}

fn path_rewrite(value: &PathRewrite) -> mesh::PathRewrite {
    use mesh::path_rewrite::Kind;
    mesh::PathRewrite {
        kind: Some(match value {
            PathRewrite::Full(text) => Kind::Full(text.to_string()),
            PathRewrite::Prefix(text) => Kind::Prefix(text.to_string()),
            PathRewrite::Matched(text) => Kind::Matched(text.to_string()),
            PathRewrite::Regex(substitution) => Kind::Regex(mesh::Substitution {
                pattern: substitution.pattern().to_owned(),
                replacement: substitution.replacement().to_owned(),
            }),
        }),
    }
}

fn mirror(value: &Mirror) -> mesh::Mirror {
    mesh::Mirror {
        backend: value.backend,
        written: value.written.to_string(),
        chance: value.chance.millionths(),
    }
}

fn cors(value: &Cors) -> mesh::Cors {
    mesh::Cors {
        origins: text_matches(&value.origins),
        methods: Some(cors_list(&value.methods)),
        headers: Some(cors_list(&value.headers)),
        expose: Some(cors_list(&value.expose)),
        max_age_nanos: value.max_age.map(nanos),
        credentials: value.credentials,
        forwards_unmatched: value.forwards_unmatched,
    }
}

fn cors_list(value: &CorsList) -> mesh::CorsList {
    use mesh::cors_list::Kind;
    mesh::CorsList {
        kind: Some(match value {
            CorsList::Any => Kind::Any(true),
            CorsList::These(names) => Kind::These(names.to_string()),
        }),
    }
}

fn fault(value: &Fault) -> mesh::Fault {
    use mesh::abort::Status;
    mesh::Fault {
        delay: value.delay.map(|(chance, delay)| mesh::Delay {
            chance: chance.millionths(),
            nanos: nanos(delay),
        }),
        abort: value.abort.map(|(chance, abort)| mesh::Abort {
            chance: chance.millionths(),
            status: Some(match abort {
                Abort::Http(status) => Status::Http(status.into()),
                Abort::Grpc(status) => Status::Grpc(status.into()),
            }),
        }),
    }
}

pub(super) fn redirect(value: &Redirect) -> mesh::Redirect {
    use mesh::redirect::Port;
    mesh::Redirect {
        scheme: text(value.scheme.as_deref()),
        host: text(value.host.as_deref()),
        port: match value.port {
            RedirectPort::Listener => None,
            RedirectPort::Fixed(port) => Some(Port::Fixed(port.into())),
            RedirectPort::AsSent => Some(Port::AsSent(true)),
            RedirectPort::OfScheme => Some(Port::OfScheme(true)),
            RedirectPort::Dialled => Some(Port::Dialled(true)),
        },
        path: value.path.as_ref().map(path_rewrite),
        status: value.status.into(),
    }
}

pub(super) fn direct_response(value: &DirectResponse) -> mesh::DirectResponse {
    mesh::DirectResponse {
        status: value.status.into(),
        body: value.body.to_vec(),
    }
}
