//! The admin API; what it says is in [`view`](crate::view).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, StatusCode};
use wattle_api::Kind;
use wattle_http::{Handler, Request, Response};
use wattle_identity::{JoinToken, SpiffeId, TokenRecord};

use super::State;
use super::answer::{Refused, json};
use crate::explain::Question;
use crate::hub::Gone;
use crate::view::{Status, TokenAnswer, TokenRequest};

/// Largest request body, bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// Life of a join token when none is asked for.
const TOKEN_TTL: u64 = 600;
/// Longest life of a join token, seconds.
const MAX_TOKEN_TTL: u64 = 86_400;

/// Answers the owner of the socket.
pub(super) struct Api(pub(super) Arc<State>);

impl From<Gone> for Refused {
    fn from(gone: Gone) -> Self {
        Self::Unavailable(gone.to_string())
    }
}

impl Handler for Api {
    async fn handle(&self, request: Box<Request>) -> Response {
        self.answer(*request)
            .await
            .unwrap_or_else(|refused| refused.response())
    }
}

impl Api {
    async fn answer(&self, request: Request) -> Result<Response, Refused> {
        let target = request.head.path_and_query.to_string();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        if let ["rotation" | "repair" | "certificates"] = parts.as_slice() {
            return self.trust(&parts, request).await;
        }
        let writes = matches!(
            parts.as_slice(),
            ["tokens" | "drain" | "why" | "prove" | "replay" | "propose"]
        );
        match (&request.head.method, writes) {
            (&Method::POST, true) | (&(Method::GET | Method::HEAD), false) => {}
            (method, true) => return Err(Refused::Method(method.to_string(), "POST")),
            (method, false) => return Err(Refused::Method(method.to_string(), "GET")),
        }
        match parts.as_slice() {
            ["status"] => self.status().await,
            ["objects", rest @ ..] => self.objects(rest).await,
            ["diagnostics"] => self.diagnostics().await,
            ["services"] => self.services().await,
            ["endpoints"] => self.endpoints().await,
            ["explain"] => self.explain(query).await,
            ["tokens"] => {
                let body = request
                    .body
                    .collect(MAX_BODY)
                    .await
                    .map_err(|error| Refused::Invalid(error.to_string()))?;
                self.token(body).await
            }
            ["why" | "prove" | "replay" | "propose"] => self.answer_question(parts[0], request).await,
            ["drain"] => {
                self.0.asked_to_stop.cancel();
                Ok(json(StatusCode::ACCEPTED, &serde_json::json!({})))
            }
            _ => Err(Refused::NotFound(path.to_owned())),
        }
    }

    async fn status(&self) -> Result<Response, Refused> {
        let asked = self.0.hub.ask(|hub| (hub.census(Instant::now()), hub.settings()));
        let (census, settings) = asked.await?;
        let status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_secs: self.0.started.elapsed().as_secs(),
            trust_domain: self.0.trust_domain.as_str().to_owned(),
            trust_domain_aliases: settings
                .trust_domain_aliases
                .iter()
                .map(ToString::to_string)
                .collect(),
            cluster_domain: settings.cluster_domain.to_string(),
            root_namespace: settings.root_namespace.to_string(),
            ready: census.ready,
            authority_not_after_secs: unix_secs(self.0.issuer.authority_not_after()),
            certificate_not_after_secs: unix_secs(self.0.issuer.own_not_after()),
            certificates_issued: self.0.metrics.certificates_issued.load(Ordering::Relaxed),
            objects: census.objects,
            errors: census.errors,
            warnings: census.warnings,
            proxies: census.proxies,
        };
        Ok(json(StatusCode::OK, &status))
    }

    async fn objects(&self, path: &[&str]) -> Result<Response, Refused> {
        let mut path = path.iter().map(|part| (*part).to_owned());
        let (kind, namespace, name) = (path.next(), path.next(), path.next());
        let kind = match kind.filter(|kind| !kind.is_empty()) {
            None => None,
            Some(written) => Some(
                kind_named(&written).ok_or_else(|| Refused::Absent(format!("there is no kind {written}")))?,
            ),
        };
        let (one, described) = (name.is_some(), format!("{kind:?} {namespace:?}/{name:?}"));
        let found = self
            .0
            .hub
            .ask(move |hub| hub.objects(kind, namespace.as_deref(), name.as_deref()))
            .await?;
        match found.first() {
            Some(only) if one => Ok(json(StatusCode::OK, only)),
            None if one => Err(Refused::Absent(format!("there is no {described}"))),
            _ => Ok(json(StatusCode::OK, &found)),
        }
    }

    async fn diagnostics(&self) -> Result<Response, Refused> {
        Ok(json(
            StatusCode::OK,
            &self.0.hub.ask(|hub| hub.diagnostic_views()).await?,
        ))
    }

    async fn services(&self) -> Result<Response, Refused> {
        Ok(json(StatusCode::OK, &self.0.hub.ask(|hub| hub.services()).await?))
    }

    async fn endpoints(&self) -> Result<Response, Refused> {
        Ok(json(
            StatusCode::OK,
            &self.0.hub.ask(|hub| hub.endpoints()).await?,
        ))
    }

    async fn explain(&self, query: &str) -> Result<Response, Refused> {
        let question = Question::from_query(query).map_err(|error| Refused::Invalid(error.to_string()))?;
        let explained = self.0.hub.ask(move |hub| hub.explain(&question)).await?;
        explained
            .map(|explanation| json(StatusCode::OK, &explanation))
            .map_err(|error| Refused::Invalid(error.to_string()))
    }

    async fn token(&self, body: Bytes) -> Result<Response, Refused> {
        let request: TokenRequest =
            serde_json::from_slice(&body).map_err(|error| Refused::Invalid(error.to_string()))?;
        let id = SpiffeId::new(&self.0.trust_domain, &request.namespace, &request.service_account)
            .map_err(|error| Refused::Invalid(error.to_string()))?;
        if self.0.issuer.is_own(&id) {
            return Err(Refused::Invalid(format!("{id} is the control plane itself")));
        }
        let ttl = request.ttl_secs.unwrap_or(TOKEN_TTL);
        if ttl == 0 || ttl > MAX_TOKEN_TTL {
            return Err(Refused::Invalid(format!(
                "ttlSecs is {ttl}, 1 to {MAX_TOKEN_TTL} expected"
            )));
        }
        let now = self.0.clock.now();
        let token = JoinToken::generate().map_err(|error| Refused::Failed(error.to_string()))?;
        let record = TokenRecord {
            hash: token.hash(),
            id: id.clone(),
            expires_at: now + Duration::from_secs(ttl),
        };
        let expires_secs = unix_secs(record.expires_at);
        let store = self.0.store.clone();
        let kept = tokio::task::spawn_blocking(move || store.add_token(&record, now)).await;
        kept.map_err(|error| Refused::Failed(error.to_string()))?
            .map_err(|error| Refused::Failed(error.to_string()))?;
        let answer = TokenAnswer {
            token: token.expose().to_owned(),
            identity: id.to_string(),
            expires_secs,
        };
        Ok(json(StatusCode::CREATED, &answer))
    }
}

/// A kind as people write it: in any case, singular or plural.
fn kind_named(written: &str) -> Option<Kind> {
    let written = written.to_ascii_lowercase();
    Kind::ALL.into_iter().find(|kind| {
        let name = kind.unique_name().to_ascii_lowercase();
        let plural = match name.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None if name.ends_with('s') => format!("{name}es"),
            None => format!("{name}s"),
        };
        written == name || written == plural
    })
}

fn unix_secs(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_as_people_write_them() {
        for (written, kind) in [
            ("HTTPRoute", Some(Kind::HttpRoute)),
            ("httproutes", Some(Kind::HttpRoute)),
            ("authorizationpolicies", Some(Kind::AuthorizationPolicy)),
            ("processes", Some(Kind::Process)),
            ("workloadentries", Some(Kind::WorkloadEntry)),
            ("HTTPRoute.policy.linkerd.io", Some(Kind::LinkerdHttpRoute)),
            ("things", None),
        ] {
            assert_eq!(kind_named(written), kind, "{written}");
        }
    }
}
