//! `cargo xtask layering`: the crates lie on floors, and arrows point down only.
//!
//! The plan is data in [`rules`]; [`graph`] reads the crates from cargo; [`imports`] looks at what a
//! manifest cannot say. Each violation names the rule and why the rule is there.

mod graph;
mod imports;
mod rules;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, bail};

use graph::{Crate, Workspace};

/// Checks the whole workspace and prints every violation.
pub(crate) fn run(root: &Path) -> Result<()> {
    let workspace = Workspace::read(root)?;
    let mut violations = check(&workspace);
    violations.extend(imports::check(&crate::tree::rust_files(root)?));
    for violation in &violations {
        println!("layering: {violation}");
    }
    if !violations.is_empty() {
        bail!(
            "{} layering violations; the plan is xtask/src/layering/rules.rs",
            violations.len()
        );
    }
    println!("layering: {} crates on their floors", workspace.crates.len());
    Ok(())
}

fn check(workspace: &Workspace) -> Vec<String> {
    let mut violations = Vec::new();
    for member in &workspace.crates {
        check_floor(workspace, member, &mut violations);
        check_reach(workspace, member, &mut violations);
        check_external(member, &mut violations);
    }
    violations
}

/// An arrow to another crate of the workspace goes to a lower floor.
fn check_floor(workspace: &Workspace, member: &Crate, violations: &mut Vec<String>) {
    let Some(floor) = rules::floor(&member.name) else {
        violations.push(format!(
            "{}: has no floor; give it one in rules.rs and ARCHITECTURE.md",
            member.name
        ));
        return;
    };
    for dependency in member
        .dependencies
        .iter()
        .filter(|dependency| workspace.holds(&dependency.name))
    {
        let is_harness = dependency.is_dev && rules::HARNESS.contains(&dependency.name.as_str());
        match rules::floor(&dependency.name) {
            Some(below) if below < floor || is_harness => {}
            Some(below) => violations.push(format!(
                "{} (floor {floor}) -> {} (floor {below}): arrows point down only",
                member.name, dependency.name
            )),
            None => {} // reported where that crate itself is checked
        }
    }
}

/// What a crate may not know, it may not know through others either.
fn check_reach(workspace: &Workspace, member: &Crate, violations: &mut Vec<String>) {
    let reach = workspace.reach(&member.name);
    for ban in rules::BANS.iter().filter(|ban| ban.of == member.name) {
        for name in ban.never.iter().filter(|name| reach.contains(**name)) {
            violations.push(format!("{} reaches {name}: {}", member.name, ban.why));
        }
    }
    for pair in rules::NEVER_BOTH {
        let both = pair.crates.iter().all(|name| member.ships_with(name));
        if both && !pair.except.contains(&member.name.as_str()) {
            let [one, other] = pair.crates;
            violations.push(format!(
                "{} knows both {one} and {other}: {}",
                member.name, pair.why
            ));
        }
    }
}

/// Some libraries have few holders.
fn check_external(member: &Crate, violations: &mut Vec<String>) {
    let shipped: BTreeSet<&str> = member.shipped().collect();
    for holding in rules::HOLDERS {
        for name in holding.of.iter().filter(|name| shipped.contains(**name)) {
            if !holding.holders.contains(&member.name.as_str()) {
                violations.push(format!("{} holds {name}: {}", member.name, holding.why));
            }
        }
    }
}

#[cfg(test)]
mod tests;
