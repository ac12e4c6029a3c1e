//! A service that is asked over HTTP: with the method and path of the request; 200 lets it in.

use std::rc::Rc;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use wattle_http::{Body, Request, RequestHead, Response};
use wattle_model::{ExternalAuthorizer, HttpCheck, TextMatch};

use super::Denial;
use super::answer::{Allowed, Answer, Change, How, MAX_CHANGES, is_free};
use super::body::Shown;
use crate::config::Dialled;
use crate::phases::ask::{self, Failure};
use crate::phases::connect::Wanted;
use crate::worker::Worker;

/// Longest body of an answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// Names of headers that are taken out of the request, with commas in between (Envoy).
const REMOVED: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");
/// Says of the body that is shown whether it is cut.
const PARTIAL: HeaderName = HeaderName::from_static("x-envoy-auth-partial-body");

/// Asks, within the time that the authorizer has.
pub(super) async fn ask(
    worker: &Rc<Worker>,
    authorizer: &ExternalAuthorizer,
    check: &HttpCheck,
    (head, shown): (&RequestHead, Option<Shown>),
) -> Result<Answer, Failure> {
    // A question by CONNECT would open a tunnel to the service.
    if head.method == Method::CONNECT {
        return Ok(Answer::Denied(Box::new(Denial::of(403))));
    }
    let service = Dialled::read(&authorizer.service);
    let question = question(check, head, shown);
    let answered = async {
        let response = ask::ask(worker, &service, Wanted::Http1, |_| question).await?;
        answer(check, response).await
    };
    tokio::time::timeout(authorizer.timeout, answered)
        .await
        .unwrap_or_else(|_| Err(Failure::new("timeout", "no answer in time")))
}

fn question(check: &HttpCheck, head: &RequestHead, shown: Option<Shown>) -> Request {
    let path = format!("{}{}", check.path_prefix, head.path_and_query);
    let mut asked = RequestHead::new(head.method.clone(), head.authority.as_str(), path);
    asked.scheme = head.scheme;
    for (name, value) in &head.headers {
        let shown = *name == header::AUTHORIZATION || is_one(&check.shown, name);
        if shown && is_free(name) {
            asked.headers.append(name, value.clone());
        }
    }
    for (name, value) in &check.added {
        asked.headers.insert(name, value.clone());
    }
    let mut body = Body::Empty;
    if let Some(shown) = shown {
        let cut = if shown.cut { "true" } else { "false" };
        asked.headers.insert(PARTIAL, HeaderValue::from_static(cut));
        body = Body::full(shown.bytes);
    }
    Request::new(asked, body)
}

/// 5xx is no answer; what else is not 200 refuses (Envoy).
async fn answer(check: &HttpCheck, response: Response) -> Result<Answer, Failure> {
    let Response { head, body } = response;
    let body = body
        .collect(MAX_ANSWER)
        .await
        .map_err(|error| Failure::new("exchange", error.to_string()))?;
    let chosen = |names: &[TextMatch], how: How| changes(&head.headers, |name| is_one(names, name), how);
    match head.status {
        StatusCode::OK => Ok(Answer::Allowed(Box::new(Allowed {
            to_application: chosen(&check.to_upstream, How::Set)?,
            removed: removed(&head.headers),
            to_client: chosen(&check.to_downstream_on_allow, How::Append)?,
            ..Allowed::default()
        }))),
        status if status.is_server_error() => Err(Failure::new("http_status", status.as_str())),
        status => Ok(Answer::Denied(Box::new(denial(
            check,
            status,
            &head.headers,
            body,
        )?))),
    }
}

fn denial(
    check: &HttpCheck,
    status: StatusCode,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Denial, Failure> {
    let names = &check.to_downstream_on_deny;
    // What a refusal is about is always told (Envoy).
    let always = [
        header::WWW_AUTHENTICATE,
        header::LOCATION,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
    ];
    let told = |name: &HeaderName| names.is_empty() || is_one(names, name) || always.contains(name);
    let mut denied = Denial {
        body,
        ..Denial::of(super::answer::refusing(status.as_u16().into()))
    };
    for change in changes(headers, told, How::Append)? {
        change.apply(&mut denied.headers);
    }
    Ok(denied)
}

/// The headers that `told` says; the first value of each is `how`, the others come beside it.
fn changes(
    headers: &HeaderMap,
    told: impl Fn(&HeaderName) -> bool,
    how: How,
) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    for name in headers.keys().filter(|name| told(name) && **name != REMOVED) {
        for (number, value) in headers.get_all(name).iter().enumerate() {
            let how = if number == 0 { how } else { How::Append };
            changes.extend(Change::new(name.as_str().as_bytes(), value.as_bytes(), how)?);
        }
    }
    match changes.len() <= MAX_CHANGES {
        true => Ok(changes),
        false => Err(Failure::new("answer", "more headers than are passed on")),
    }
}

fn removed(headers: &HeaderMap) -> Vec<HeaderName> {
    let lists = headers.get_all(REMOVED);
    let names = lists
        .iter()
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','));
    let names = names.filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok());
    names.filter(is_free).take(MAX_CHANGES).collect()
}

fn is_one(names: &[TextMatch], name: &HeaderName) -> bool {
    names.iter().any(|wanted| wanted.matches(name.as_str()))
}
