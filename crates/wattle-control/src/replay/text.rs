//! A replay for people.

use std::fmt;

use super::{Change, Replay, Verdict};

impl Verdict {
    /// The policy behind it, where there is one.
    pub(super) fn policy(&self) -> Option<String> {
        match self {
            Self::LetIn { policy } | Self::Refused { policy, .. } => policy.clone(),
            Self::CannotTell { .. } => None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LetIn { policy: None } => f.write_str("let in"),
            Self::LetIn { policy: Some(policy) } => write!(f, "let in by {policy}"),
            Self::Refused { reason, policy: None } => write!(f, "refused {reason}"),
            Self::Refused {
                reason,
                policy: Some(policy),
            } => write!(f, "refused {reason} by {policy}"),
            Self::CannotTell { on } => write!(f, "cannot be told: it depends on {}", on.join(", ")),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.caller, self.workload)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for part in [&self.method, &self.path].into_iter().flatten() {
            write!(f, " {part}")?;
        }
        match self.count {
            1 => writeln!(f, "  once")?,
            count => writeln!(f, "  {count} times")?,
        }
        writeln!(f, "    then   {}", self.then)?;
        if let Some(now) = &self.now {
            writeln!(f, "    now    {now}")?;
        }
        writeln!(f, "    after  {}", self.after)
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.changes
            .iter()
            .try_for_each(|change| write!(f, "~ {change}"))?;
        self.untold
            .iter()
            .try_for_each(|change| write!(f, "? {change}"))?;
        match self.is_same() {
            true => writeln!(f, "no decision changes")?,
            false => writeln!(
                f,
                "{} kinds of decisions change, {} cannot be told",
                self.changes.len(),
                self.untold.len()
            )?,
        }
        writeln!(f, "{} recorded decisions compared", self.compared)?;
        if self.drifted > 0 {
            writeln!(
                f,
                "note: {} of them are already decided otherwise than they were then",
                self.drifted
            )?;
        }
        if self.undecided > 0 {
            writeln!(
                f,
                "note: {} events ended before policies were asked",
                self.undecided
            )?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}
