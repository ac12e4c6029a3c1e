//! A proposal as manifests.

use std::fmt;

use super::{Proposal, Proposed, ProposedOperation, ProposedRule};

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notes.iter().try_for_each(|note| comment(f, note))?;
        for (at, policy) in self.policies.iter().enumerate() {
            if at > 0 {
                writeln!(f, "---")?;
            }
            write!(f, "{policy}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Proposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notes.iter().try_for_each(|note| comment(f, note))?;
        writeln!(
            f,
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:"
        )?;
        writeln!(
            f,
            "  name: {}\n  namespace: {}",
            quoted(&self.name),
            quoted(&self.namespace)
        )?;
        writeln!(f, "spec:\n  selector:\n    matchLabels:")?;
        for (label, value) in &self.labels {
            writeln!(f, "      {}: {}", quoted(label), quoted(value))?;
        }
        writeln!(f, "  action: ALLOW\n  rules:")?;
        self.rules.iter().try_for_each(|rule| write!(f, "{rule}"))
    }
}

impl fmt::Display for ProposedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  - from:")?;
        if !self.principals.is_empty() {
            writeln!(f, "    - source:\n        principals:")?;
            entries(f, &self.principals)?;
        }
        if !self.ip_blocks.is_empty() {
            // Whoever has an identity is not let in by address.
            writeln!(
                f,
                "    - source:\n        notPrincipals: [\"*\"]\n        ipBlocks:"
            )?;
            entries(f, &self.ip_blocks)?;
        }
        if !self.operations.is_empty() {
            writeln!(f, "    to:")?;
        }
        self.operations
            .iter()
            .try_for_each(|operation| write!(f, "{operation}"))
    }
}

impl fmt::Display for ProposedOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "    - operation:\n        ports: [\"{}\"]", self.port)?;
        for (field, list) in [("methods", &self.methods), ("paths", &self.paths)] {
            if !list.is_empty() {
                writeln!(f, "        {field}:")?;
                entries(f, list)?;
            }
        }
        Ok(())
    }
}

fn entries(f: &mut fmt::Formatter<'_>, list: &[String]) -> fmt::Result {
    list.iter()
        .try_for_each(|text| writeln!(f, "        - {}", quoted(text)))
}

/// One line, whatever the text holds.
fn comment(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    writeln!(f, "# {}", text.replace(char::is_control, " "))
}

/// What is seen was chosen by peers: a JSON string means itself in YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
