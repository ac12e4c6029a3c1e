//! A SPIFFE Workload API on a Unix socket, as SPIRE's agent serves it.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::thread::JoinHandle;

use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::sync::{oneshot, watch};
use tokio_stream::wrappers::{UnixListenerStream, WatchStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};
use wattle_identity::{Authority, Svid};
use wattle_wire::proto::workload::spiffe_workload_api_server::{SpiffeWorkloadApi, SpiffeWorkloadApiServer};
use wattle_wire::proto::workload::{X509svid, X509svidRequest, X509svidResponse};

/// A running agent; it and its streams end when it is dropped.
pub(crate) struct Agent {
    offers: watch::Sender<X509svidResponse>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    socket: PathBuf,
}

impl Agent {
    /// Gives all of these to whoever asks, who is to find its own among them.
    pub(crate) fn start(socket: &Path, svids: &[Svid], believed: &[&Authority]) -> Self {
        let (offers, offered) = watch::channel(offer(svids, believed));
        let (stop, stopped) = oneshot::channel();
        let path = socket.to_owned();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || serve(&path, offered, stopped, &ready));
        is_ready.recv().unwrap();
        Self {
            offers,
            stop: Some(stop),
            thread: Some(thread),
            socket: socket.to_owned(),
        }
    }

    /// The same to all from now on.
    pub(crate) fn push(&self, svids: &[Svid], believed: &[&Authority]) {
        self.offers.send_replace(offer(svids, believed));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || std::thread::panicking());
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn serve(
    path: &Path,
    offered: watch::Receiver<X509svidResponse>,
    stopped: oneshot::Receiver<()>,
    ready: &std::sync::mpsc::Sender<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // What is open ends with the runtime, as when an agent is killed.
    runtime.block_on(async {
        let listener = tokio::net::UnixListener::bind(path).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
        ready.send(()).unwrap();
        let served = tonic::transport::Server::builder()
            .add_service(SpiffeWorkloadApiServer::new(Api(offered)))
            .serve_with_incoming(UnixListenerStream::new(listener));
        tokio::select! {
            served = served => served.unwrap(),
            _ = stopped => {}
        }
    });
}

struct Api(watch::Receiver<X509svidResponse>);

#[tonic::async_trait]
impl SpiffeWorkloadApi for Api {
    type FetchX509SVIDStream = Pin<Box<dyn Stream<Item = Result<X509svidResponse, Status>> + Send>>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        let header = request.metadata().get("workload.spiffe.io");
        if header.is_none_or(|value| value != "true") {
            return Err(Status::invalid_argument("security header missing"));
        }
        Ok(Response::new(Box::pin(WatchStream::new(self.0.clone()).map(Ok))))
    }
}

fn offer(svids: &[Svid], believed: &[&Authority]) -> X509svidResponse {
    let bundle: Vec<u8> = believed
        .iter()
        .flat_map(|authority| authority.bundle().unwrap().roots().to_vec())
        .flat_map(|root| root.to_vec())
        .collect();
    let one = |svid: &Svid| X509svid {
        spiffe_id: svid.id().to_string(),
        x509_svid: svid.chain().iter().flat_map(|one| one.to_vec()).collect(),
        x509_svid_key: PrivateKeyDer::from_pem_slice(svid.key_pem().as_bytes())
            .unwrap()
            .secret_der()
            .to_vec(),
        bundle: bundle.clone(),
        hint: String::new(),
    };
    X509svidResponse {
        svids: svids.iter().map(one).collect(),
        crl: Vec::new(),
        federated_bundles: BTreeMap::new(),
    }
}
