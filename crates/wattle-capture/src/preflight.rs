//! Whether this machine can run a local mesh, found out by trying each thing in a throw-away namespace.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use crate::isolation::Isolation;
use crate::redirect::Redirect;
use crate::tool;

/// Longest complaint of a tool that is repeated, in bytes.
const COMPLAINT_LIMIT: u64 = 512;

/// Kernel settings that forbid user namespaces to ordinary users, and the value that allows them.
const USER_NAMESPACE_SETTINGS: [(&str, &str); 2] = [
    ("kernel/unprivileged_userns_clone", "1"),
    ("kernel/apparmor_restrict_unprivileged_userns", "0"),
];

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Stable name, such as `capture-nft`.
    pub id: &'static str,
    /// Whether it is as it must be.
    pub ok: bool,
    /// What was found.
    pub sentence: String,
    /// What to do about it, beginning with a verb; only with a failure.
    pub hint: Option<String>,
}

impl Check {
    fn passed(id: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            id,
            ok: true,
            sentence: sentence.into(),
            hint: None,
        }
    }

    fn failed(id: &'static str, sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            id,
            ok: false,
            sentence: sentence.into(),
            hint: Some(hint.into()),
        }
    }
}

/// Looks at everything, in the order in which one depends on the other; later ones are left out if they cannot be tried.
pub fn run() -> Vec<Check> {
    let isolation = Isolation::detect().unwrap_or(Isolation::UserNamespace);
    let mut checks = vec![
        program("capture-ip", "ip", "iproute2"),
        program("capture-nft", "nft", "nftables"),
    ];
    if !checks.iter().all(|check| check.ok) {
        return checks;
    }
    checks.push(namespaces(isolation));
    if checks.iter().all(|check| check.ok) {
        checks.extend([bridge(isolation), cable(isolation), redirection(isolation)]);
    }
    checks
}

fn program(id: &'static str, name: &'static str, package: &str) -> Check {
    match tool::find(name) {
        Ok(path) => Check::passed(id, format!("{} is installed", path.display())),
        Err(error) => Check::failed(id, error.to_string(), format!("install the package {package}")),
    }
}

fn namespaces(isolation: Isolation) -> Check {
    let id = "capture-namespaces";
    let means = match isolation {
        Isolation::Root => "as root",
        Isolation::UserNamespace => "without root, in a user namespace",
    };
    match attempt(isolation, "ip", "link set lo up", "") {
        Ok(()) => Check::passed(id, format!("network namespaces can be made {means}")),
        Err(error) => Check::failed(
            id,
            format!("network namespaces cannot be made {means}: {error}"),
            namespace_hint(),
        ),
    }
}

/// The setting that is in the way, if one is.
fn namespace_hint() -> String {
    let most = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    if most.trim() == "0" {
        return "run `sysctl user.max_user_namespaces=15000` as root, or run as root".to_owned();
    }
    for (setting, wanted) in USER_NAMESPACE_SETTINGS {
        let found = fs::read_to_string(format!("/proc/sys/{setting}"));
        if found.is_ok_and(|found| found.trim() != wanted) {
            let key = setting.replace('/', ".");
            return format!("run `sysctl {key}={wanted}` as root, or run as root");
        }
    }
    "run as root; in a container, add the capabilities SYS_ADMIN and NET_ADMIN".to_owned()
}

fn bridge(isolation: Isolation) -> Check {
    let id = "capture-bridge";
    match attempt(isolation, "ip", "link add wattle0 type bridge", "") {
        Ok(()) => Check::passed(id, "the kernel has bridges"),
        Err(error) => Check::failed(
            id,
            format!("a bridge cannot be made: {error}"),
            "load the kernel module bridge",
        ),
    }
}

fn cable(isolation: Isolation) -> Check {
    let id = "capture-veth";
    match attempt(
        isolation,
        "ip",
        "link add wattle1 type veth peer name wattle2",
        "",
    ) {
        Ok(()) => Check::passed(id, "the kernel has veth pairs"),
        Err(error) => Check::failed(
            id,
            format!("a veth pair cannot be made: {error}"),
            "load the kernel module veth",
        ),
    }
}

fn redirection(isolation: Isolation) -> Check {
    let id = "capture-redirect";
    match attempt(isolation, "nft", "-f -", &Redirect::default().render()) {
        Ok(()) => Check::passed(id, "nftables accepts the redirection rules"),
        Err(error) => Check::failed(
            id,
            format!("nftables refuses the redirection rules: {error}"),
            "load the kernel modules nft_nat, nft_redir, nft_ct and nft_reject_inet",
        ),
    }
}

/// Runs one tool in namespaces of its own, which vanish with it.
fn attempt(isolation: Isolation, name: &'static str, arguments: &str, input: &str) -> Result<(), String> {
    let program = tool::find(name).map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut isolated = isolation.spawn(command).map_err(|error| chain(&error))?;
    let (stdin, _, stderr) = isolated.pipes();
    // A tool that ends early leaves the rest unread; its status tells that story better.
    let _ = stdin.map(|mut stdin| stdin.write_all(input.as_bytes()));
    let mut complaint = String::new();
    let _ = stderr.map(|stderr| stderr.take(COMPLAINT_LIMIT).read_to_string(&mut complaint));
    if isolated.wait().success() {
        Ok(())
    } else {
        Err(complaint.trim().replace('\n', "; "))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_comes_with_the_package_to_install() {
        let check = program("capture-nft", "wattle-no-such-program", "nftables");
        assert!(!check.ok && check.hint.as_deref() == Some("install the package nftables"));
    }

    #[test]
    fn every_failure_has_a_hint_and_no_success_has() {
        let checks = run();
        assert!(!checks.is_empty());
        for check in checks {
            assert_eq!(check.ok, check.hint.is_none(), "{check:?}");
        }
    }
}
