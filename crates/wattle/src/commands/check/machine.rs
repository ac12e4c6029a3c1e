//! Whether this machine can run a mesh.

use wattle_capture::{apart, preflight};

use super::{Finding, Group};

/// Oldest kernel on which everything was tried: `pidfd` of a process by its child, and nftables redirection in namespaces.
const OLDEST_KERNEL: (u32, u32) = (5, 4);

/// Where the kernel says its version.
const RELEASE: &str = "/proc/sys/kernel/osrelease";

/// Looks at everything, most basic first.
pub(super) fn check() -> Group {
    let mut findings = vec![kernel(
        std::fs::read_to_string(RELEASE).unwrap_or_default().trim(),
    )];
    let tried = preflight::run().into_iter().map(|check| match check.hint {
        Some(hint) => Finding::failed(check.id, check.sentence, hint),
        None => Finding::ok(check.id, check.sentence),
    });
    findings.extend(tried);
    findings.push(held_apart(apart::is_possible()));
    Group {
        title: "machine".to_owned(),
        findings,
    }
}

fn kernel(release: &str) -> Finding {
    let mut numbers = release.split(['.', '-']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST_KERNEL => {
            Finding::ok("kernel", format!("the kernel is {release}"))
        }
        _ => {
            let (major, minor) = OLDEST_KERNEL;
            let sentence = format!("the kernel is {release}, older than {major}.{minor}");
            Finding::failed("kernel", sentence, "use a newer kernel")
        }
    }
}

fn held_apart(is_possible: bool) -> Finding {
    if is_possible {
        return Finding::ok("programs-apart", "programs of a mesh can be held apart");
    }
    let oldest = apart::OLDEST_KERNEL;
    Finding::warning(
        "programs-apart",
        "programs of a mesh can signal and trace each other: this kernel has no Landlock that scopes signals",
        format!("use Linux {oldest} or newer, with landlock in the kernel's parameter lsm="),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn programs_that_are_not_held_apart_are_a_warning_with_what_to_do() {
        assert_eq!(held_apart(true).outcome, Outcome::Ok);
        let found = held_apart(false);
        assert_eq!(found.outcome, Outcome::Warning);
        assert!(found.hint.is_some_and(|hint| hint.starts_with("use Linux 6.12")));
    }

    #[test]
    fn kernels_are_told_apart_by_their_numbers() {
        for (release, outcome) in [
            ("6.12.9-amd64", Outcome::Ok),
            ("5.4.0", Outcome::Ok),
            ("5.10.0-32", Outcome::Ok),
            ("4.19.0", Outcome::Failed),
            ("what", Outcome::Failed),
        ] {
            assert_eq!(kernel(release).outcome, outcome, "{release}");
        }
    }
}
