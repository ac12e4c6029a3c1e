//! Running one sample service, by name: what `wattle sample NAME` does.

use crate::serve::{Front, Service, http1, http2};
use crate::settings::{Name, Settings};
use crate::{intruder, load, shop};
use serde::Serialize;
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

/// What keeps a sample service from running.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It cannot listen.
    #[error("listening on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The runtime or its signals cannot be had.
    #[error("starting the runtime")]
    Runtime(#[source] io::Error),
}

/// Runs a service until SIGTERM or SIGINT, and until what it was at is finished. Blocks this thread.
pub fn run(settings: Settings) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    LocalSet::new().block_on(&runtime, async {
        let stop = stopped().map_err(RunError::Runtime)?;
        let sample = Sample::bind(settings).await?;
        sample.run(stop, &mut io::stdout()).await;
        Ok(())
    })
}

/// Ready when the process is told to end.
fn stopped() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// A service that listens already.
#[derive(Debug)]
pub struct Sample {
    settings: Settings,
    listener: Option<TcpListener>,
}

impl Sample {
    /// Listens, if it is a service that does.
    pub async fn bind(settings: Settings) -> Result<Self, RunError> {
        let address = settings.listen;
        let listener = match settings.name {
            Name::Load | Name::Intruder => None,
            _ => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(|source| RunError::Listen { address, source })?,
            ),
        };
        Ok(Self { settings, listener })
    }

    /// Where it listens; `None` for the load and the intruder.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `stop`, and until what it was at is finished. To be polled within a [`LocalSet`].
    ///
    /// The load and the intruder write their figures to `out`, one JSON object a line.
    pub async fn run(self, stop: impl Future<Output = ()>, out: &mut impl Write) {
        let Self { settings, listener } = self;
        match listener {
            Some(listener) => serve(&settings, listener, stop).await,
            None if settings.name == Name::Intruder => {
                intruder::intrude(&settings, stop, |said| line(out, said)).await
            }
            None => load::drive(&settings, stop, |figures| line(out, figures)).await,
        }
    }
}

async fn serve(settings: &Settings, listener: TcpListener, stop: impl Future<Output = ()>) {
    let signature = settings.signature();
    match settings.name {
        Name::Web => http1(listener, front(shop::Web::new(settings), signature), stop).await,
        Name::Catalog => http1(listener, front(shop::Catalog, signature), stop).await,
        Name::Cart => http1(listener, front(shop::Cart::new(settings), signature), stop).await,
        Name::Reviews => http1(listener, front(shop::Reviews::new(settings), signature), stop).await,
        Name::Ratings => http2(listener, shop::Ratings { signature }, stop).await,
        Name::Ledger => shop::keep(listener, stop).await,
        Name::Greeter => shop::greet(listener, &signature, stop).await,
        // They have no listener.
        Name::Load | Name::Intruder => {}
    }
}

fn front<S: Service>(service: S, signature: String) -> Front<S> {
    Front { service, signature }
}

/// A reader that is gone is no reason to stop.
fn line(out: &mut impl Write, value: &impl Serialize) {
    if let Ok(mut text) = serde_json::to_vec(value) {
        text.push(b'\n');
        let _ = out.write_all(&text).and_then(|()| out.flush());
    }
}
