//! Pages about authority, rotation and certificates.

use std::error::Error;

use http::{Method, StatusCode};
use wattle_http::{Request, Response};
use wattle_identity::{Replaced, RotationError};

use super::answer::{Refused, json};
use super::api::{Api, MAX_BODY};
use crate::issuer::IssuerError;
use crate::view::RotationRequest;

impl Api {
    /// `/rotation`, `/repair` and `/certificates`.
    pub(super) async fn trust(&self, parts: &[&str], request: Request) -> Result<Response, Refused> {
        match (&request.head.method, parts) {
            (&(Method::GET | Method::HEAD), ["rotation"]) => {}
            (&(Method::GET | Method::HEAD), ["certificates"]) => return self.certificates().await,
            (&Method::POST, ["rotation"]) => {
                let body = request.body.collect(MAX_BODY).await;
                let body = body.map_err(|error| Refused::Invalid(error.to_string()))?;
                self.rotate(&body).await?;
            }
            (&Method::POST, ["repair"]) => self.change(|issuer| issuer.repair()).await?,
            (method, ["repair"]) => return Err(Refused::Method(method.to_string(), "POST")),
            (method, ["certificates"]) => return Err(Refused::Method(method.to_string(), "GET")),
            (method, _) => return Err(Refused::Method(method.to_string(), "GET or POST")),
        }
        let connected = self.0.hub.ask(|hub| hub.connected()).await?;
        Ok(json(StatusCode::OK, &self.0.issuer.rotation(&connected)))
    }

    async fn certificates(&self) -> Result<Response, Refused> {
        let connected = self.0.hub.ask(|hub| hub.connected()).await?;
        Ok(json(StatusCode::OK, &self.0.issuer.certificates(&connected)))
    }

    async fn rotate(&self, body: &[u8]) -> Result<(), Refused> {
        let asked: RotationRequest =
            serde_json::from_slice(body).map_err(|error| Refused::Invalid(error.to_string()))?;
        let what = match asked.replace.as_str() {
            "root" => Replaced::Root,
            "issuer" => Replaced::Issuer,
            other => {
                return Err(Refused::Invalid(format!(
                    "replace is \"{other}\", root or issuer expected"
                )));
            }
        };
        self.change(move |issuer| issuer.rotate(what, asked.skip_absent))
            .await
    }

    /// Changes the authority, which writes to the disk.
    async fn change(
        &self,
        change: impl FnOnce(&crate::issuer::Issuer) -> Result<(), IssuerError> + Send + 'static,
    ) -> Result<(), Refused> {
        let issuer = self.0.issuer.clone();
        let changed = tokio::task::spawn_blocking(move || change(&issuer)).await;
        match changed.map_err(|error| Refused::Failed(error.to_string()))? {
            Ok(()) => Ok(()),
            Err(IssuerError::Rotation(
                error @ (RotationError::UnderWay | RotationError::Plugged | RotationError::Valid(_)),
            )) => Err(Refused::Invalid(error.to_string())),
            Err(error) => Err(Refused::Failed(described(&error))),
        }
    }
}

fn described(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", described(cause)),
        None => error.to_string(),
    }
}
