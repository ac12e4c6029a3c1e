//! `ledger`: the store behind the carts, over TCP. The client speaks first.

use crate::ledger::{Lines, Store};
use crate::serve::accept;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::rc::Rc;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use wattle_http::Drain;

/// Serves the ledger's line protocol until `stop`.
pub(crate) async fn keep(listener: TcpListener, stop: impl Future<Output = ()>) {
    let store = Rc::new(RefCell::new(Store::default()));
    let connection = |stream, drain| {
        let serving = serve(stream, store.clone(), drain);
        async move {
            if let Err(error) = serving.await {
                tracing::debug!(%error, "connection ended in disorder");
            }
        }
    };
    accept(listener, connection, stop).await;
}

async fn serve(stream: TcpStream, store: Rc<RefCell<Store>>, drain: Drain) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = Lines::of(read);
    loop {
        // Lines that are there are answered before a drain is heard.
        let line = tokio::select! {
            biased;
            line = lines.next() => line?,
            () = poll_fn(|cx| drain.poll_draining(cx)) => None,
        };
        let Some(line) = line else { return Ok(()) };
        let outcome = store.borrow_mut().answer(&line);
        write.write_all(outcome.line().as_bytes()).await?;
    }
}
