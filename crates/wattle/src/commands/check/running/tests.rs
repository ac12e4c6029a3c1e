use crate::supervisor::status::ProxyStatus as OwnProxy;

use super::super::Outcome;
use super::*;

fn process(phase: Phase, code: Option<i32>) -> Status {
    Status {
        namespace: "shop".into(),
        process: "web".into(),
        instance: "web".into(),
        phase,
        pid: None,
        restarts: 0,
        exit: code.map(|code| Exit { code }),
        address: Some([10, 244, 0, 2].into()),
        proxy: Some(OwnProxy {
            pid: Some(4),
            restarts: 0,
            ready: true,
        }),
        log: "/logs/shop.web.log".into(),
        proxy_log: None,
        note: None,
    }
}

fn proxy(synced: bool) -> ProxyStatus {
    ProxyStatus {
        node: "shop/web".into(),
        identity: String::new(),
        address: String::new(),
        agent: String::new(),
        connected_secs: 1,
        synced,
        pending: usize::from(!synced),
        refused: 0,
        gaps: Vec::new(),
        resources: Vec::new(),
    }
}

fn outcomes(findings: &[Finding]) -> Vec<Outcome> {
    findings.iter().map(|finding| finding.outcome).collect()
}

#[test]
fn a_process_that_finished_badly_or_never_became_ready_fails() {
    for (phase, code, outcome) in [
        (Phase::Ready, None, Outcome::Ok),
        (Phase::Finished, Some(0), Outcome::Ok),
        (Phase::Finished, Some(3), Outcome::Failed),
        (Phase::Starting, None, Outcome::Failed),
        (Phase::Stopped, None, Outcome::Warning),
    ] {
        assert_eq!(
            outcomes(&processes_findings(&[process(phase, code)])),
            [outcome],
            "{phase:?}"
        );
    }
}

#[test]
fn a_proxy_that_is_not_connected_fails_and_one_that_is_behind_warns() {
    let process = [process(Phase::Ready, None)];
    assert_eq!(
        outcomes(&proxies_findings(&[proxy(true)], &process)),
        [Outcome::Ok, Outcome::Ok]
    );
    assert_eq!(
        outcomes(&proxies_findings(&[proxy(false)], &process)),
        [Outcome::Warning, Outcome::Ok]
    );
    assert_eq!(
        outcomes(&proxies_findings(&[], &process)),
        [Outcome::Failed, Outcome::Ok]
    );
}

#[test]
fn a_certificate_is_judged_by_what_is_left_of_it() {
    let outcome = |left: u64| certificate("x", "it", 1000 + left, 1000).outcome;
    assert_eq!(
        (outcome(0), outcome(60), outcome(90_000)),
        (Outcome::Failed, Outcome::Warning, Outcome::Ok)
    );
}
