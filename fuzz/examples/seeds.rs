//! Writes the seeds that people cannot type: certificates, tokens and protobuf.
//!
//! `cargo run --manifest-path fuzz/Cargo.toml --example seeds -- fuzz/seeds`

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use prost::Message;
use wattle_compile::{Mesh, Settings};
use wattle_identity::{Authority, JoinToken, SpiffeId, SvidRequest, TrustDomain};
use wattle_wire::delta::{Publisher, Subscriber};
use wattle_wire::proto::discovery::DeltaDiscoveryResponse;
use wattle_wire::{Kind, Peer, Resource, ResourceName};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    for target in ["identity", "wire"] {
        fs::create_dir_all(folder.join(target))?;
    }
    identity(&folder.join("identity"))?;
    wire(&folder.join("wire"))
}

fn identity(folder: &Path) -> Outcome {
    let now = SystemTime::now();
    let trust_domain = TrustDomain::new("cluster.local")?;
    let id = SpiffeId::new(&trust_domain, "default", "fuzz")?;
    let authority = Authority::create(&trust_domain, now)?;
    let request = SvidRequest::new(&id)?;
    let csr = request.csr_pem().to_owned();
    let issued = authority.sign(&csr, &id, now, Duration::from_secs(3600))?;
    let svid = request.into_svid(&issued.chain_pem())?;
    let token = JoinToken::generate()?;
    write(folder, "spiffe-id", '0', id.as_str())?;
    write(folder, "trust-domain", '1', "cluster.local")?;
    write(folder, "bundle", '2', authority.bundle()?.to_pem())?;
    write(folder, "svid", '3', svid.to_pem().as_bytes())?;
    write(folder, "authority", '4', authority.to_pem().as_bytes())?;
    write(folder, "csr", '5', csr)?;
    write(folder, "peer-certificate", '6', &svid.chain()[0])?;
    write(folder, "join-token", '7', token.expose())
}

fn wire(folder: &Path) -> Outcome {
    let mut publisher = Publisher::new();
    let mut subscriber = Subscriber::new();
    let resources = resources()?;
    for resource in &resources {
        let selector = Kind::ALL
            .iter()
            .zip('0'..)
            .find(|(kind, _)| **kind == resource.name().kind);
        let selector = selector.ok_or("a kind that is not in Kind::ALL")?.1;
        let name = format!("{}-{selector}", resource.name().kind.as_str().to_lowercase());
        write(folder, &name, selector, &resource.encode().bytes)?;
        subscriber.subscribe(&resource.name(), None);
    }
    let mut requests = Vec::new();
    for request in subscriber.connected() {
        requests.extend(request.encode_length_delimited_to_vec());
        publisher.request(request)?;
    }
    for resource in &resources {
        publisher.publish(&resource.name(), Some(&resource.encode()));
    }
    publisher.publish(&ResourceName::new(Kind::Peer, "10.0.0.1"), None);
    let responses: Vec<DeltaDiscoveryResponse> = std::iter::from_fn(|| publisher.response()).collect();
    let mut answered = Vec::new();
    for response in responses {
        answered.extend(response.encode_length_delimited_to_vec());
        if let Some(reply) = subscriber.response(response).reply {
            requests.extend(reply.encode_length_delimited_to_vec());
        }
    }
    write(folder, "responses", '4', answered)?;
    write(folder, "requests", '5', requests)
}

/// One resource of each kind, of the fixed mesh.
fn resources() -> Outcome<Vec<Resource>> {
    let mut mesh = Mesh::new(Settings::default());
    mesh.reset(wattle_api::parse(include_str!("../src/decide.yaml"), "decide.yaml").objects);
    let destination = mesh
        .destination("reviews.shop.svc.cluster.local:9080", "shop")
        .ok_or("no destination")?;
    let endpoints = mesh
        .endpoints(&destination.backends[0].id)
        .ok_or("no endpoints")?;
    let inbound = mesh.inbound("shop/reviews-0").ok_or("no inbound")?;
    let ip = [10, 0, 0, 2].into();
    let workload = (*mesh.peer(ip).ok_or("no peer")?).clone();
    Ok(vec![
        Resource::Destination((*destination).clone()),
        Resource::Endpoints((*endpoints).clone()),
        Resource::Inbound((*inbound).clone()),
        Resource::Peer(Peer { ip, workload }),
    ])
}

fn write(folder: &Path, name: &str, selector: char, content: impl AsRef<[u8]>) -> Outcome {
    let mut bytes = selector.to_string().into_bytes();
    bytes.extend_from_slice(content.as_ref());
    Ok(fs::write(folder.join(name), bytes)?)
}
