//! Addresses outside: whether they may be called, and what is told apart there by the name that is asked for.

use super::places::Steps;
use super::{Step, Way, World, request};
use crate::dice::Dice;
use wattle_testkit::Request;

/// An address that no object names, those of workloads themselves, and whether they may be called.
pub(super) fn beyond(dice: &mut Dice, nth: usize, world: &World) -> (String, Steps) {
    let outside = world.beyond;
    let workloads = world.addresses.clone();
    let text = if nth.is_multiple_of(2) {
        let network = match dice.below(4) {
            _ if nth.is_multiple_of(4) => {
                format!("networks: [{{cidr: 10.0.0.0/8, except: ['{outside}']}}], ")
            }
            0 | 1 => format!("networks: [{{cidr: {outside}/32}}], "),
            2 => "networks: [{cidr: 192.0.2.0/24}], ".to_owned(),
            _ => String::new(),
        };
        format!(
            "apiVersion: policy.linkerd.io/v1alpha1\nkind: EgressNetwork\nmetadata: {{name: outside}}\n\
             spec: {{{network}trafficPolicy: {}}}\n",
            dice.one(&["Allow", "Deny"])
        )
    } else {
        format!(
            "apiVersion: wattle.io/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: outside}}\n\
             spec: {{{}mode: {}}}\n",
            dice.one(&[
                "",
                "selector: {matchLabels: {app: client}}, ",
                "selector: {matchLabels: {app: somebody}}, "
            ]),
            // Whom a name is allowed under RegistryOnly, DNS has to say, which Envoy does not ask.
            dice.one(&[
                "AllowAny",
                "RegistryOnly",
                "RegistryOnly",
                "AllowAny, allow: [{hosts: [shop], ports: [{port: 8080, protocol: HTTP}]}]",
                "AllowAny, allow: [{hosts: ['*.example'], ports: [{port: 9100, protocol: TLS}]}]"
            ])
        )
    };
    let steps: Steps = Box::new(move |dice| {
        let (port, way) = match dice.chance(60) {
            true => (8080, Way::Http(request(dice))),
            false => (9100, Way::Bytes),
        };
        let workload = workloads[dice.below(workloads.len())];
        let to = if dice.chance(70) { outside } else { workload };
        Step {
            to: to.to_string(),
            port,
            way,
        }
    });
    (text, steps)
}

/// Hosts that any address may have, and blocks of addresses, where nothing else outside may be called.
pub(super) fn open_hosts(dice: &mut Dice, nth: usize, world: &World) -> (String, Steps) {
    let outside = world.beyond;
    let (http, tls) = (
        "{number: 8080, name: http, protocol: HTTP}",
        "{number: 9100, name: tls, protocol: TLS}",
    );
    let entry = match nth % 4 {
        0 => format!("hosts: ['*.example'], ports: [{http}, {tls}]"),
        1 => format!(
            "hosts: [a.example, '*.b.example'], ports: [{}]",
            dice.one(&[http, tls])
        ),
        2 => "hosts: [any.example], ports: [{number: 9100, name: tcp, protocol: TCP}]".to_owned(),
        _ => format!(
            "hosts: [block.example], addresses: [{}], ports: [{http}, {{number: 9100, name: tcp, protocol: TCP}}]",
            dice.one(&["10.244.250.0/24", "192.0.2.0/24"])
        ),
    };
    let closed = match dice.below(3) {
        0 => "apiVersion: wattle.io/v1alpha1\nkind: EgressPolicy\nmetadata: {name: outside}\nspec: {mode: RegistryOnly}\n"
            .to_owned(),
        1 => "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: client}\n\
              spec: {workloadSelector: {labels: {app: client}}, egress: [{hosts: ['./*']}], \
              outboundTrafficPolicy: {mode: REGISTRY_ONLY}}\n"
            .to_owned(),
        _ => format!(
            "apiVersion: policy.linkerd.io/v1alpha1\nkind: EgressNetwork\nmetadata: {{name: outside}}\n\
             spec: {{networks: [{{cidr: 10.244.0.0/16, except: [{}/32]}}], trafficPolicy: Deny}}\n",
            dice.one(&["10.244.250.9", "10.244.250.10"])
        ),
    };
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: outside}}\n\
         spec: {{resolution: NONE, location: MESH_EXTERNAL, {entry}}}\n---\n{closed}"
    );
    let steps: Steps = Box::new(move |dice| {
        let name = dice.one(&[
            "a.example",
            "x.b.example",
            "x.y.b.example",
            "example",
            "other.test",
        ]);
        let (port, way) = match dice.below(4) {
            0 => (9100, Way::Bytes),
            1 => (9100, Way::Hello(name.to_owned())),
            _ => (
                8080,
                Way::Http(Request {
                    host: name.to_owned(),
                    ..request(dice)
                }),
            ),
        };
        Step {
            to: outside.to_string(),
            port,
            way,
        }
    });
    (text, steps)
}
