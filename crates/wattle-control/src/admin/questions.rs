//! Questions about policies, whose facts come with them.

use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wattle_http::{Request, Response};

use super::answer::{Refused, json};
use super::api::Api;
use crate::propose::ProposalRequest;
use crate::reach::{Claim, ProofRequest};
use crate::records::Record;

/// Largest question, bytes; of records, some hundreds.
const MAX_QUESTION: usize = 4 << 20;

impl Api {
    pub(super) async fn answer_question(&self, name: &str, request: Request) -> Result<Response, Refused> {
        let body = request.body.collect(MAX_QUESTION).await.map_err(invalid)?;
        match name {
            "prove" => self.prove(read(&body)?).await,
            "replay" => {
                let records: Vec<Record> = read(&body)?;
                let asked = self.0.hub.ask(move |hub| hub.asked(records)).await?;
                let answers = self.beside(move || asked.decide()).await?;
                Ok(json(StatusCode::OK, &answers))
            }
            "propose" => {
                let request: ProposalRequest = read(&body)?;
                let proposal = self.0.hub.ask(move |hub| hub.propose(&request)).await?;
                Ok(json(StatusCode::OK, &proposal))
            }
            _ => {
                let refusal: wattle_telemetry::Refusal = read(&body)?;
                answered(self.0.hub.ask(move |hub| hub.why(&refusal)).await?)
            }
        }
    }

    async fn prove(&self, request: ProofRequest) -> Result<Response, Refused> {
        let claim: Claim = request.claim.parse().map_err(invalid)?;
        let case = self
            .0
            .hub
            .ask(move |hub| hub.case(&claim))
            .await?
            .map_err(invalid)?;
        let reach = self.beside(move || case.prove()).await?;
        Ok(json(StatusCode::OK, &reach))
    }

    /// What takes long is done beside the hub, which goes on, and one at a time.
    async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let turn = self.0.pondering.clone().acquire_owned().await;
        let turn = turn.map_err(|error| Refused::Unavailable(error.to_string()))?;
        let done = tokio::task::spawn_blocking(move || {
            // Held by the work itself, which goes on when whoever asked has gone.
            let _turn = turn;
            work()
        });
        done.await.map_err(|error| Refused::Failed(error.to_string()))
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(invalid)
}

fn answered<T: Serialize, E: ToString>(answer: Result<T, E>) -> Result<Response, Refused> {
    answer
        .map(|answer| json(StatusCode::OK, &answer))
        .map_err(invalid)
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn invalid(error: impl ToString) -> Refused {
    Refused::Invalid(error.to_string())
}
