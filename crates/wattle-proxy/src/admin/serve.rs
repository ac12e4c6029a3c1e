//! The admin and status listeners, on the main thread: a scrape never delays a request.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, UnixListener};
use wattle_http::{DrainSignal, Handler, Io, Limits, Request, Response, h1};
use wattle_net::{ListenOptions, listen};

/// Connections served at once; a further one waits in the kernel's queue.
const MAX_CONNECTIONS: usize = 64;

/// An idle connection is closed after this time.
const IDLE: Duration = Duration::from_secs(10);
/// Wait after accept failed.
const PAUSE: Duration = Duration::from_millis(50);

/// Who may see a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Processes of the workload's own network namespace.
    Local,
    /// Whoever reaches the status port.
    Anyone,
}

/// What is said of a proxy.
pub(crate) trait Pages {
    /// Answers one request.
    async fn page(&self, audience: Audience, request: Request) -> Response;
}

struct Desk<P> {
    pages: Rc<P>,
    audience: Audience,
}

impl<P: Pages + 'static> Handler for Desk<P> {
    async fn handle(&self, request: Box<Request>) -> Response {
        self.pages.page(self.audience, *request).await
    }
}

/// Opens both listeners and serves them in tasks of this thread.
pub(crate) fn serve<P: Pages + 'static>(
    pages: &Rc<P>,
    admin: SocketAddr,
    status: SocketAddr,
) -> io::Result<()> {
    for (address, audience) in [(admin, Audience::Local), (status, Audience::Anyone)] {
        let options = ListenOptions {
            reuse_port: false,
            ..ListenOptions::default()
        };
        let listener = listen(address, &options)
            .map_err(|error| io::Error::new(error.kind(), format!("admin listener on {address}: {error}")))?;
        let desk = Rc::new(Desk {
            pages: pages.clone(),
            audience,
        });
        tokio::task::spawn_local(accept(Door::Tcp(listener), desk));
    }
    Ok(())
}

/// Serves the local pages on a socket that its owner alone may open; a proxy does its work without, so a failure is only
/// said.
pub(crate) fn serve_socket<P: Pages + 'static>(pages: &Rc<P>, path: &Path) {
    let opened = || {
        // One that a crash left.
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        io::Result::Ok(listener)
    };
    match opened() {
        Ok(listener) => {
            let desk = Rc::new(Desk {
                pages: pages.clone(),
                audience: Audience::Local,
            });
            tokio::task::spawn_local(accept(Door::Socket(listener), desk));
        }
        Err(error) => tracing::warn!(%error, path = %path.display(), "no socket for the admin pages"),
    }
}

/// Where questions come in.
enum Door {
    Tcp(TcpListener),
    Socket(UnixListener),
}

impl Door {
    async fn accept(&self) -> io::Result<Box<dyn Io>> {
        Ok(match self {
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
            Self::Socket(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

async fn accept<P: Pages + 'static>(door: Door, desk: Rc<Desk<P>>) {
    let limits = Rc::new(Limits {
        idle_timeout: Some(IDLE),
        ..Limits::default()
    });
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
    let signal = DrainSignal::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let Ok(socket) = door.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let serving = h1::serve(
            socket,
            Bytes::new(),
            desk.clone(),
            limits.clone(),
            signal.subscribe(),
        );
        tokio::task::spawn_local(async move {
            let _ = serving.await;
            drop(place);
        });
    }
}
