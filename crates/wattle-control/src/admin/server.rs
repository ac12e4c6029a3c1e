//! The thread behind both listeners.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use wattle_http::{DrainSignal, Handler, Io, Limits, h1};

use super::State;
use super::api::Api;
use super::probe::Probe;

/// Connections of each listener at a time; further ones wait.
const MAX_CONNECTIONS: usize = 64;
/// Longest wait for requests in work when stopping.
const FINISH: Duration = Duration::from_millis(500);

/// Bound and ready to be listened on.
pub(crate) struct Listeners {
    pub(crate) admin: std::os::unix::net::UnixListener,
    pub(crate) metrics: std::net::TcpListener,
}

/// Starts the thread; it ends soon after it is stopped, and asks for the end of everything if it ends before.
pub(crate) fn spawn(
    listeners: Listeners,
    state: State,
    stop: CancellationToken,
) -> io::Result<JoinHandle<()>> {
    listeners.admin.set_nonblocking(true)?;
    listeners.metrics.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("wattle-admin".to_owned())
        .spawn(move || {
            let _ended = state.asked_to_stop.clone().drop_guard();
            let served = LocalSet::new().block_on(&runtime, serve(listeners, Arc::new(state), stop));
            if let Err(error) = served {
                tracing::error!(%error, "admin endpoint ended");
            }
        })
}

async fn serve(listeners: Listeners, state: Arc<State>, stop: CancellationToken) -> io::Result<()> {
    let admin = UnixListener::from_std(listeners.admin)?;
    let metrics = TcpListener::from_std(listeners.metrics)?;
    let limits = Rc::new(Limits {
        idle_timeout: Some(Duration::from_secs(60)),
        ..Limits::default()
    });
    let (api, probe) = (Rc::new(Api(state.clone())), Rc::new(Probe(state)));
    let drain = DrainSignal::new();
    let (api_room, probe_room) = (
        Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        Arc::new(Semaphore::new(MAX_CONNECTIONS)),
    );
    loop {
        tokio::select! {
            (accepted, permit) = next(&api_room, || admin.accept()) => {
                attend(accepted.map(|(socket, _)| socket), permit, &api, &limits, &drain).await;
            }
            (accepted, permit) = next(&probe_room, || metrics.accept()) => {
                attend(accepted.map(|(socket, _)| socket), permit, &probe, &limits, &drain).await;
            }
            () = stop.cancelled() => break,
        }
    }
    drain.drain();
    let everyone = async {
        let all = MAX_CONNECTIONS as u32;
        let _ = tokio::join!(api_room.acquire_many(all), probe_room.acquire_many(all));
    };
    let _ = tokio::time::timeout(FINISH, everyone).await;
    Ok(())
}

type Permit = Option<tokio::sync::OwnedSemaphorePermit>;

/// A connection, once there is room for it.
async fn next<T, F: Future<Output = io::Result<T>>>(
    room: &Arc<Semaphore>,
    accept: impl FnOnce() -> F,
) -> (io::Result<T>, Permit) {
    let permit = room.clone().acquire_owned().await.ok();
    (accept().await, permit)
}

async fn attend<H: Handler + 'static>(
    accepted: io::Result<impl Io + 'static>,
    permit: Permit,
    handler: &Rc<H>,
    limits: &Rc<Limits>,
    drain: &DrainSignal,
) {
    let socket = match accepted {
        Ok(socket) => socket,
        Err(error) => {
            tracing::warn!(%error, "admin connection not accepted");
            return tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (handler, limits, drain) = (handler.clone(), limits.clone(), drain.subscribe());
    // Owned by the thread's LocalSet, which ends with it.
    tokio::task::spawn_local(async move {
        if let Err(error) = h1::serve(socket, Bytes::new(), handler, limits, drain).await {
            tracing::debug!(%error, "admin connection ended");
        }
        drop(permit);
    });
}
