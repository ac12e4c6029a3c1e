//! A service with Istio's certificate API, in the place of a workload, which does what istio-csr does: it knows callers by
//! their bearer tokens, takes requests for their own names and nothing else, and answers with chain and root.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status};
use wattle_identity::{Authority, SpiffeId};
use wattle_testkit::Spot;
use wattle_wire::proto::certificate::istio_certificate_service_server::{
    IstioCertificateService, IstioCertificateServiceServer,
};
use wattle_wire::proto::certificate::{IstioCertificateRequest, IstioCertificateResponse};

/// A running service; it ends when it is dropped.
pub(crate) struct Signer {
    /// Root of its own certificate, PEM.
    pub(crate) root: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Signer {
    /// Known by this address; `callers` are names by their tokens.
    pub(crate) fn start(
        spot: &Spot,
        (address, port): (IpAddr, u16),
        authority: Authority,
        callers: BTreeMap<String, SpiffeId>,
    ) -> Self {
        let listener = spot
            .enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
            .unwrap();
        listener.set_nonblocking(true).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec![address.to_string()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut tls = ServerConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![own.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let (stop, stopped) = oneshot::channel();
        let service = Service { authority, callers };
        let thread = std::thread::spawn(move || serve(listener, tls, service, stopped));
        Self {
            root: own.pem(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || std::thread::panicking());
    }
}

fn serve(listener: TcpListener, tls: ServerConfig, service: Service, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let (sender, connections) = tokio::sync::mpsc::unbounded_channel();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                // Who does not shake hands is gone.
                if let Ok(stream) = acceptor.accept(socket).await {
                    let _ = sender.send(Ok::<_, io::Error>(Secured(stream)));
                }
            }
        });
        let served = tonic::transport::Server::builder()
            .add_service(IstioCertificateServiceServer::new(service))
            .serve_with_incoming(UnboundedReceiverStream::new(connections));
        tokio::select! {
            served = served => served.unwrap(),
            _ = stopped => {}
        }
    });
}

struct Service {
    authority: Authority,
    callers: BTreeMap<String, SpiffeId>,
}

#[tonic::async_trait]
impl IstioCertificateService for Service {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        let shown = request.metadata().get("authorization");
        let token = shown.and_then(|shown| shown.to_str().ok()?.strip_prefix("Bearer "));
        let caller = token.and_then(|token| self.callers.get(token));
        let caller = caller.ok_or_else(|| Status::unauthenticated("request authenticate failure"))?;
        let request = request.into_inner();
        let life = u64::try_from(request.validity_duration).unwrap_or(0);
        if life == 0 {
            return Err(Status::invalid_argument("a certificate of no life"));
        }
        let issued = self
            .authority
            .sign(&request.csr, caller, SystemTime::now(), Duration::from_secs(life))
            .map_err(|error| Status::unauthenticated(error.to_string()))?;
        Ok(Response::new(IstioCertificateResponse {
            cert_chain: vec![
                issued.pem_blocks().concat(),
                self.authority.bundle().unwrap().to_pem(),
            ],
        }))
    }
}

struct Secured(TlsStream<TcpStream>);

impl Connected for Secured {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Secured {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, into)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
