//! A proxy that nobody has told anything lets nobody in.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::inbound::serve;
use crate::tests::root::{Root, believing};
use crate::tests::worker_with;

/// What a client in plaintext hears, and whether the application did.
async fn called(worker: &Rc<Worker>) -> (Vec<u8>, bool) {
    let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut near = TcpStream::connect(app.local_addr().unwrap()).await.unwrap();
    // The end that was to be the application's is the proxy's: it was sent here by the kernel.
    let (far, peer) = app.accept().await.unwrap();
    let serving = tokio::task::spawn_local(serve(worker.clone(), far, peer));
    let _ = near
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    let mut heard = Vec::new();
    let asked = tokio::select! {
        _ = near.read_to_end(&mut heard) => false,
        _ = app.accept() => true,
    };
    serving.abort();
    (heard, asked)
}

#[tokio::test]
async fn without_configuration_or_without_a_certificate_nobody_is_let_in() {
    let run = async {
        let impatient = || worker_with(|settings| settings.config_timeout = Duration::from_millis(10));
        let root = Root::new("root");
        let certificate = || believing(&root.svid(&identity("a"), 1), &[("td", &root)]);
        let untold = impatient();
        assert_eq!(called(&untold).await, (Vec::new(), false));
        untold.hear(certificate());
        assert_eq!(called(&untold).await, (Vec::new(), false));
        let nameless = impatient();
        tell(&nameless, open(1), &[], None);
        assert_eq!(called(&nameless).await, (Vec::new(), false));
        nameless.hear(certificate());
        assert!(called(&nameless).await.1, "with both it is open");
    };
    let local = LocalSet::new();
    tokio::time::timeout(Duration::from_secs(20), local.run_until(run))
        .await
        .expect("neither an answer nor an end");
}
