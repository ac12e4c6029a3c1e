//! A service that is asked over gRPC (Envoy's `external_auth.proto`). Dynamic metadata of its answer is not read.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Version};
use wattle_http::RequestHead;
use wattle_model::Ask;
use wattle_wire::proto::external_auth::address::SocketAddress;
use wattle_wire::proto::external_auth::attribute_context::{HttpRequest, Peer, Request, TlsSession};
use wattle_wire::proto::external_auth::check_response::HttpResponse;
use wattle_wire::proto::external_auth::header_value_option::HeaderAppendAction;
use wattle_wire::proto::external_auth::{
    Address, AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValueOption,
    OkHttpResponse,
};

use super::Denial;
use super::answer::{Allowed, Answer, Change, How, MAX_CHANGES, is_free, refusing};
use super::body::Shown;
use crate::config::Dialled;
use crate::inbound::Who;
use crate::phases::ask::Failure;
use crate::phases::ask::grpc::{Call, call};
use crate::worker::Worker;

const METHOD: &str = "/envoy.service.auth.v3.Authorization/Check";
/// Says of the body that is shown whether it is cut.
const PARTIAL: &str = "x-envoy-auth-partial-body";

/// Asks, within the time that the authorizer has.
pub(super) async fn ask(
    worker: &Rc<Worker>,
    ask: &Ask<'_>,
    attributes: AttributeContext,
) -> Result<Answer, Failure> {
    let service = Dialled::read(&ask.authorizer.service);
    let method = Call {
        path: METHOD,
        timeout: ask.authorizer.timeout,
    };
    let question = CheckRequest {
        attributes: Some(attributes),
    };
    answer(call(worker, &service, method, &question).await?)
}

/// What is said of a connection.
pub(super) fn of_connection(worker: &Worker, who: &Who, ask: &Ask<'_>) -> AttributeContext {
    let peer = |address: SocketAddr, principal: &str| Peer {
        address: Some(Address {
            socket_address: Some(SocketAddress {
                address: address.ip().to_string(),
                port_value: address.port().into(),
            }),
        }),
        principal: principal.to_owned(),
    };
    let source = who.peer.as_ref().map_or("", |peer| peer.as_str());
    // Without mutual TLS nobody was told who the workload is.
    let own = who.peer.as_ref().map_or("", |_| worker.settings.id.as_str());
    let policy = format!("{}/{}", ask.policy.namespace, ask.policy.name);
    AttributeContext {
        source: Some(peer(who.downstream, source)),
        destination: Some(peer(who.local, own)),
        request: None,
        context_extensions: BTreeMap::from([("policy".to_owned(), policy)]),
        tls_session: who.sni.as_deref().map(|sni| TlsSession { sni: sni.to_owned() }),
    }
}

/// What is said of a request.
pub(super) fn of_request(
    worker: &Worker,
    who: &Who,
    ask: &Ask<'_>,
    head: &RequestHead,
    shown: Option<Shown>,
) -> AttributeContext {
    let mut http = HttpRequest {
        id: text(&head.headers, &HeaderName::from_static("x-request-id")),
        method: head.method.as_str().to_owned(),
        headers: headers(head),
        path: head.path_and_query.as_str().to_owned(),
        host: head.authority.as_str().to_owned(),
        scheme: head.scheme.as_str().to_owned(),
        size: text(&head.headers, &http::header::CONTENT_LENGTH)
            .parse()
            .unwrap_or(-1),
        protocol: match head.version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2",
            _ => "HTTP/1.1",
        }
        .to_owned(),
        ..HttpRequest::default()
    };
    if let Some(shown) = shown {
        http.headers.insert(PARTIAL.to_owned(), shown.cut.to_string());
        match shown.as_bytes {
            true => http.raw_body = shown.bytes.to_vec(),
            // A text of protobuf is UTF-8.
            false => http.body = String::from_utf8_lossy(&shown.bytes).into_owned(),
        }
    }
    AttributeContext {
        request: Some(Request { http: Some(http) }),
        ..of_connection(worker, who, ask)
    }
}

/// All headers with the pseudo-headers, several values of one joined.
fn headers(head: &RequestHead) -> BTreeMap<String, String> {
    let named = head.headers.keys();
    let mut headers: BTreeMap<_, _> = named
        .map(|name| (name.as_str().to_owned(), text(&head.headers, name)))
        .collect();
    for (name, value) in [
        (":authority", head.authority.as_str()),
        (":method", head.method.as_str()),
        (":path", head.path_and_query.as_str()),
        (":scheme", head.scheme.as_str()),
    ] {
        headers.insert(name.to_owned(), value.to_owned());
    }
    headers
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers.get_all(name).iter();
    let values: Vec<_> = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    // The cookies of a request are one list (RFC 9113 §8.2.3).
    values.join(if *name == http::header::COOKIE { "; " } else { "," })
}

/// An answer without a status would let in by what it does not say.
fn answer(response: CheckResponse) -> Result<Answer, Failure> {
    let code = match (response.status, &response.http_response) {
        (Some(status), _) => status.code,
        (None, Some(HttpResponse::OkResponse(_))) => 0,
        (None, Some(HttpResponse::DeniedResponse(_))) => 7,
        (None, None) => return Err(Failure::new("answer", "without a status")),
    };
    match (code, response.http_response) {
        (0, Some(HttpResponse::DeniedResponse(_))) => {
            Err(Failure::new("answer", "a refusal with the status of an approval"))
        }
        (0, Some(HttpResponse::OkResponse(ok))) => Ok(Answer::Allowed(Box::new(allowed(ok)?))),
        (0, None) => Ok(Answer::Allowed(Box::default())),
        (_, Some(HttpResponse::DeniedResponse(denied))) => Ok(Answer::Denied(Box::new(denial(denied)?))),
        _ => Ok(Answer::Denied(Box::new(Denial::of(403)))),
    }
}

fn allowed(ok: OkHttpResponse) -> Result<Allowed, Failure> {
    bounded(ok.headers_to_remove.len())?;
    bounded(ok.query_parameters_to_set.len())?;
    bounded(ok.query_parameters_to_remove.len())?;
    let removed = ok.headers_to_remove.iter();
    let removed = removed.filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok());
    let parameters = ok.query_parameters_to_set.into_iter();
    Ok(Allowed {
        to_application: changes(&ok.headers, How::Set)?,
        removed: removed.filter(is_free).collect(),
        parameters_set: parameters
            .map(|parameter| (parameter.key, parameter.value))
            .collect(),
        parameters_removed: ok.query_parameters_to_remove,
        to_client: changes(&ok.response_headers_to_add, How::Set)?,
    })
}

fn denial(denied: DeniedHttpResponse) -> Result<Denial, Failure> {
    let mut headers = HeaderMap::new();
    for change in changes(&denied.headers, How::Append)? {
        change.apply(&mut headers);
    }
    Ok(Denial {
        status: refusing(denied.status.map_or(0, |status| status.code)),
        headers,
        body: Bytes::from(denied.body),
    })
}

/// Headers with what becomes of those that are there: where nothing is said, `unsaid`.
fn changes(options: &[HeaderValueOption], unsaid: How) -> Result<Vec<Change>, Failure> {
    bounded(options.len())?;
    let changes = options.iter().filter_map(|option| {
        let header = option.header.as_ref()?;
        let how = match (option.append, option.append_action()) {
            (Some(append), _) if append.value => How::Append,
            (Some(_), _) => How::Set,
            // The first action stands for none as well.
            (None, HeaderAppendAction::AppendIfExistsOrAdd) => unsaid,
            (None, HeaderAppendAction::AddIfAbsent) => How::AddIfAbsent,
            (None, HeaderAppendAction::OverwriteIfExistsOrAdd) => How::Set,
            (None, HeaderAppendAction::OverwriteIfExists) => How::SetIfPresent,
        };
        let value = match header.raw_value.is_empty() {
            true => header.value.as_bytes(),
            false => &header.raw_value,
        };
        Change::new(header.key.as_bytes(), value, how).transpose()
    });
    changes.collect()
}

fn bounded(count: usize) -> Result<(), Failure> {
    match count <= MAX_CHANGES {
        true => Ok(()),
        false => Err(Failure::new("answer", "more changes than are made")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use wattle_wire::proto::external_auth::check_response::Status;

    use super::*;

    fn said(code: Option<i32>, http_response: Option<HttpResponse>) -> Result<Answer, Failure> {
        answer(CheckResponse {
            status: code.map(|code| Status { code }),
            http_response,
        })
    }

    #[test]
    fn an_answer_lets_in_only_by_saying_so() {
        let ok = || Some(HttpResponse::OkResponse(OkHttpResponse::default()));
        let denied = || Some(HttpResponse::DeniedResponse(DeniedHttpResponse::default()));
        for (code, response) in [(Some(0), None), (Some(0), ok()), (None, ok())] {
            assert!(matches!(said(code, response), Ok(Answer::Allowed(_))), "{code:?}");
        }
        for (code, response) in [
            (Some(7), None),
            (Some(16), ok()),
            (Some(7), denied()),
            (None, denied()),
        ] {
            let Ok(Answer::Denied(denial)) = said(code, response) else {
                panic!("{code:?}")
            };
            assert_eq!(denial.status, 403);
        }
        assert!(said(None, None).is_err());
        assert!(said(Some(0), denied()).is_err());
    }

    #[test]
    fn an_answer_with_more_than_is_changed_is_none() {
        let ok = OkHttpResponse {
            headers_to_remove: vec!["a".to_owned(); MAX_CHANGES + 1],
            ..OkHttpResponse::default()
        };
        assert!(said(Some(0), Some(HttpResponse::OkResponse(ok))).is_err());
    }
}
