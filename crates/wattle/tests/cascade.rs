//! Three tiers, the last of them too slow: budgets keep what is repeated within bounds, so that a slow backend does not
//! drown under the repetitions of those before it.
#![allow(clippy::unwrap_used)]

#[path = "support/flaky.rs"]
mod flaky;

use flaky::{World, client, process, service};
use wattle_testkit::{Conversation, Request};

/// Callers at once, and requests of each.
const CALLERS: usize = 10;
const REQUESTS: usize = 30;
/// Kinds of requests before, which count towards the budgets as well.
const WARM: usize = 10;

/// Retries within a budget of 20% for the callers of an app.
fn policy(app: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {app}}}
spec:
  hosts: [{app}]
  http:
  - retries: {{attempts: 3, retryOn: '5xx', perTryTimeout: 300ms, backoff: 1ms}}
    route: [{{destination: {{host: {app}}}}}]
---
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XBackendTrafficPolicy
metadata: {{name: {app}}}
spec:
  targetRefs: [{{group: '', kind: Service, name: {app}}}]
  retryConstraint: {{budget: {{percent: 20, interval: 60s}}, minRetryRate: {{count: 1, interval: 60s}}}}
---
"
    )
}

#[test]
fn under_three_tiers_of_retries_a_slow_backend_gets_a_fifth_more_at_most() {
    let tiers = ["flaky", "middle", "back"];
    let mut manifests = process("flaky", "front", "", "http://middle:8000")
        + &process("middle", "middle-1", "", "http://back:8000")
        + &process("back", "back-1", "", "");
    for app in tiers {
        manifests += &(service(app) + &policy(app));
    }
    manifests += &client("");
    let Some(world) = World::of(&manifests, &["front", "middle-1", "back-1"]) else {
        return;
    };
    world.wait_until_all_answer(WARM);
    let spot = world.client();
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(|| {
                    spot.enter(|| {
                        let mut kept = Conversation::tcp(world.server).unwrap();
                        let request = Request::get("flaky:8000", "/?key=load&delay=0.5");
                        (0..REQUESTS)
                            .map(|_| kept.send(&request).unwrap().status)
                            .collect::<Vec<_>>()
                    })
                })
            })
            .collect();
        callers
            .into_iter()
            .flat_map(|caller| caller.join().unwrap())
            .collect()
    });
    assert!(answers.iter().all(|status| *status == 504), "{answers:?}");
    let mut sent = CALLERS * REQUESTS;
    for name in ["front", "middle-1", "back-1"] {
        let asked = usize::try_from(world.asked(name, "load")).unwrap();
        let warm: u64 = (0..WARM)
            .map(|number| world.asked(name, &format!("warm-{number}")))
            .sum();
        let counted = sent as f64 + warm as f64;
        let extra = (asked as f64 - sent as f64) / counted;
        eprintln!(
            "{name}: {asked} for {sent} and {warm} before, {:.1}% extra",
            extra * 100.0
        );
        assert!(extra > 0.0, "{name} is asked again");
        assert!(
            extra <= 0.2 + 0.01,
            "{name}: {asked} for {sent} and {warm} before"
        );
        sent = asked;
    }
    world.mesh.stop();
}
