//! Destinations of every kind.

use std::sync::Arc;

use wattle_envoy::Others;
use wattle_model::{
    Backend, ConnectionMatch, ConnectionRoute, Destination, Endpoints, HostMatch, IpBlock, NamedEndpoint,
    Protocol, RuleRef, WeightedBackend,
};

use crate::at;
use crate::rules::rules;
use crate::support::mesh::{self, Mesh, anywhere, backend, destination, endpoint, object, to};

fn connection(names: &[&str], backends: Vec<WeightedBackend>) -> ConnectionRoute {
    ConnectionRoute {
        origin: RuleRef {
            object: object("tls"),
            rule: 0,
            matched: 0,
            name: "".into(),
        },
        matches: ConnectionMatch {
            server_names: names.iter().map(|name| HostMatch::parse(name)).collect(),
            ..Default::default()
        },
        backends,
    }
}

pub(super) fn routed(mesh: &mut Mesh) {
    let two = || vec![backend("b1:80"), backend("b2:80")];
    mesh.add(mesh::routed(
        destination(at(100, 80), Protocol::Http1, two()),
        rules(),
    ));
    mesh.add(Destination {
        default_backend: None,
        ..destination(at(100, 81), Protocol::Detect, vec![])
    });
    for (port, protocol) in [(82, Protocol::Tls), (83, Protocol::Detect)] {
        let connections = vec![
            connection(&["a.test", "*.b.test"], vec![to(0, 1), to(1, 2)]),
            connection(&["*"], vec![to(1, 1)]),
            connection(&[], vec![to(0, 0)]),
        ];
        mesh.add(Destination {
            connections,
            ..destination(at(100, port), protocol, two())
        });
    }
    let template = endpoint(at(0, 0));
    let named = |single| NamedEndpoint {
        host: "api.test".into(),
        port: 443,
        template: template.clone(),
        single,
    };
    for (index, single) in [(1u16, false), (2, true)] {
        let id: Arc<str> = format!("named{index}:443").into();
        let endpoints = Endpoints {
            id: id.clone(),
            endpoints: vec![],
            names: vec![named(single)],
        };
        mesh.endpoints.insert(id.clone(), Arc::new(endpoints));
        mesh.add(destination(at(101, index), Protocol::Tls, vec![backend(&id)]));
    }
    mesh.add(Destination {
        service: None,
        ..destination(at(102, 1), Protocol::Detect, vec![Backend::default()])
    });
    let open = Destination {
        name: "*".into(),
        backends: vec![Backend::default()],
        default_backend: Some(0),
        ..Destination::default()
    };
    let named = Destination {
        connections: vec![connection(&["*.example"], vec![to(1, 1)])],
        backends: vec![Backend::default(), backend("one:80")],
        ..open.clone()
    };
    let block =
        |text, destination: &Destination| (IpBlock::parse(text).unwrap(), Arc::new(destination.clone()));
    let blocks = vec![block("198.51.100.0/24", &open), block("198.51.100.8/32", &named)];
    mesh.others = Others {
        blocks: blocks.clone(),
        ..anywhere(open.clone())
    };
    mesh.open.insert(
        443,
        Others {
            blocks,
            ..anywhere(named)
        },
    );
    mesh.open.insert(80, anywhere(open));
}
