//! The admin and status listeners, on the main thread: a scrape never delays a request.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use wattle_http::{DrainSignal, Handler, Limits, Request, Response, h1};
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
    async fn handle(&self, request: Request) -> Response {
        self.pages.page(self.audience, request).await
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
        tokio::task::spawn_local(accept(listener, desk));
    }
    Ok(())
}

async fn accept<P: Pages + 'static>(listener: tokio::net::TcpListener, desk: Rc<Desk<P>>) {
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
        let Ok((socket, _)) = listener.accept().await else {
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
