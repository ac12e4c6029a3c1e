//! The answer for people.

use std::fmt;

use wattle_telemetry::Refusal;

use super::{Said, Why};

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refusal = &self.refusal;
        if !refusal.id.is_empty() {
            writeln!(f, "refusal     {}  {}", refusal.id, refusal.time)?;
        }
        let by = Some(&refusal.policy).filter(|policy| !policy.is_empty());
        writeln!(f, "refused     {}", because(&refusal.reason, by))?;
        if !refusal.detail.is_empty() {
            writeln!(f, "cause       {}", refusal.detail)?;
        }
        writeln!(
            f,
            "by          {} on port {}",
            self.workload,
            refusal.local.port()
        )?;
        facts(f, refusal)?;
        match self.changed {
            false => writeln!(f, "now         the same")?,
            true => writeln!(
                f,
                "now         {}, since the configuration has changed",
                answer(&self.now)
            )?,
        }
        for line in &self.now.trace {
            writeln!(f, "  {:<8} {}: {}", line.verdict, line.subject, line.detail)?;
        }
        if !self.remedies.is_empty() {
            writeln!(f, "to let it in, one of")?;
        }
        self.remedies
            .iter()
            .try_for_each(|remedy| writeln!(f, "  {remedy}"))?;
        self.notes
            .iter()
            .try_for_each(|note| writeln!(f, "note        {note}"))
    }
}

fn because(reason: &str, policy: Option<&String>) -> String {
    policy.map_or_else(|| reason.to_owned(), |policy| format!("{reason} by {policy}"))
}

fn answer(said: &Said) -> String {
    match &said.reason {
        None => "it would be let in".to_owned(),
        Some(reason) => because(reason, said.policy.as_ref()),
    }
}

fn facts(f: &mut fmt::Formatter<'_>, refusal: &Refusal) -> fmt::Result {
    let peer = refusal.peer.as_deref().unwrap_or("nobody, in plaintext");
    writeln!(f, "caller      {peer} from {}", refusal.downstream)?;
    let Some(request) = &refusal.request else {
        return writeln!(f, "asked for   a connection");
    };
    writeln!(
        f,
        "asked for   {} {}{}",
        request.method, request.authority, request.path
    )?;
    for (name, values) in &request.headers {
        writeln!(f, "header      {name}: {}", values.join(", "))?;
    }
    if let Some((issuer, subject)) = request.token.as_ref().and_then(|token| token.principal.as_ref()) {
        writeln!(f, "token       {issuer}/{subject}")?;
    }
    Ok(())
}
