//! A gRPC program that asks for its own configuration: gRPC knows a part of what Envoy knows, and what it does not know
//! is written down.

mod cluster;
mod route;
mod server;

use std::sync::Arc;

use envoy_types::pb::envoy::config::listener::v3::{ApiListener, Listener};
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::HttpFault;
use envoy_types::pb::envoy::extensions::filters::http::stateful_session::v3::StatefulSession;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use hcm::http_connection_manager::RouteSpecifier;
use wattle_model::{Access, CallerFacts, Destination, NoTrace};

use crate::cluster::{Clusters, Secrets, Wire};
use crate::listener::{http_filter, router};
use crate::notes::{Notes, Output};
use crate::proto::{ads, any};
use crate::route::{FAULT, Facing, SESSION};
use crate::{GrpcClient, Kind, Resources};

impl GrpcClient<'_> {
    /// What this program is told: a listener and routes by `host:port` for each destination, and the clusters and
    /// endpoints that the routes name; besides, listeners of what it serves.
    pub fn encode(&self) -> Resources {
        let (mut output, mut notes) = (Output::default(), Notes::default());
        let mut clusters = Clusters::new(&self.scene, Secrets(Arc::default()));
        for destination in self.scene.seen().values() {
            output.add(Kind::Listener, &destination.name, &listener(&destination.name));
            let routes = self.routes(destination, &mut clusters, &mut notes);
            output.add_bytes(Kind::Route, &destination.name, routes);
        }
        for (base, entry) in clusters.entries() {
            notes.at(entry.policy.origins.first(), &base);
            let of = cluster::Of {
                base: &base,
                entry: &entry,
                scene: &self.scene,
                certificates: self.certificates.as_deref(),
            };
            of.write(&mut output, &mut notes);
        }
        if let (Some(served), Some(certificates)) = (&self.served, self.certificates.as_deref()) {
            served.write(certificates, &mut output, &mut notes);
        }
        output.finish(notes)
    }

    fn routes(&self, destination: &Destination, clusters: &mut Clusters<'_>, notes: &mut Notes) -> Vec<u8> {
        notes.at(None, &destination.name);
        let caller = CallerFacts {
            labels: self.scene.labels,
            ..CallerFacts::default()
        };
        let mut facing = Facing {
            destination,
            wire: Wire::Http2,
            labels: self.scene.labels,
            clusters,
            notes,
        };
        match destination.access(&caller, &mut NoTrace) {
            Access::Full => facing.grpc_routes(),
            Access::PassThrough => {
                facing
                    .notes
                    .gap("out of scope, and so carried as dialled: gRPC has no such way, and calls fail");
                route::refused(&destination.name)
            }
            Access::Refused(_) => route::refused(&destination.name),
        }
    }
}

fn listener(name: &str) -> Listener {
    let manager = hcm::HttpConnectionManager {
        http_filters: vec![
            http_filter(FAULT, &HttpFault::default()),
            http_filter(SESSION, &StatefulSession::default()),
            router(),
        ],
        route_specifier: Some(RouteSpecifier::Rds(hcm::Rds {
            config_source: ads(),
            route_config_name: name.to_owned(),
        })),
        ..Default::default()
    };
    Listener {
        name: name.to_owned(),
        api_listener: Some(ApiListener {
            api_listener: Some(any(&manager)),
        }),
        ..Default::default()
    }
}
