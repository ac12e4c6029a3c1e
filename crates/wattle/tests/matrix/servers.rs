//! The applications: nginx for HTTP/2, a library of gRPC, and servers of the test's own for the rest.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wattle_testkit::{Echo, Spot};

use crate::calls::Answering;
use crate::protocol::{GREETING, Protocol};

const NGINX: &str = "
worker_processes 1; daemon off; pid DIR/pid; error_log DIR/error.log crit;
events { worker_connections 256; }
http {
  access_log DIR/access.log; client_body_temp_path DIR; proxy_temp_path DIR; fastcgi_temp_path DIR;
  uwsgi_temp_path DIR; scgi_temp_path DIR;
  server { listen 8081 http2; location / { return 200 'served'; } }
}";

/// All applications of one workload; ended when dropped.
pub(crate) struct Servers {
    http: Echo,
    grpc: Answering,
    nginx: Child,
    directory: tempfile::TempDir,
    connections: Arc<AtomicU64>,
}

impl Servers {
    pub(crate) fn start(spot: &Spot, name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        // nginx's worker is another user.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, open).unwrap();
        let config = directory.path().join("nginx.conf");
        std::fs::write(&config, NGINX.replace("DIR", path)).unwrap();
        let mut nginx = spot.command("nginx");
        let nginx = nginx.arg("-c").arg(&config).stdin(Stdio::null()).spawn().unwrap();
        let connections = Arc::new(AtomicU64::new(0));
        for (protocol, greeting) in [(Protocol::Tcp, &b""[..]), (Protocol::ServerFirst, GREETING)] {
            let any = (std::net::Ipv4Addr::UNSPECIFIED, protocol.port());
            let listener = spot.enter(|| TcpListener::bind(any)).unwrap();
            let connections = connections.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    connections.fetch_add(1, Ordering::Relaxed);
                    // Whoever breaks off a conversation has ended it.
                    std::thread::spawn(move || drop(echo(stream, greeting)));
                }
            });
        }
        Self {
            http: Echo::start(spot, Protocol::Http1.port(), "server").unwrap(),
            grpc: Answering::start(spot, name, Protocol::Grpc.port()),
            nginx,
            directory,
            connections,
        }
    }

    /// What the applications have heard so far: connections, calls, and requests that nginx has written down.
    pub(crate) fn heard(&self) -> u64 {
        let log = std::fs::read_to_string(self.directory.path().join("access.log")).unwrap_or_default();
        let written = u64::try_from(log.lines().count()).unwrap();
        self.http.connections() + self.grpc.calls() + self.connections.load(Ordering::Relaxed) + written
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // Asked, so that its worker ends too.
        let _ = Command::new("kill").arg(self.nginx.id().to_string()).status();
        let _ = self.nginx.wait();
    }
}

fn echo(mut stream: TcpStream, greeting: &[u8]) -> io::Result<()> {
    stream.write_all(greeting)?;
    let mut bytes = [0; 4096];
    loop {
        let length = stream.read(&mut bytes)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&bytes[..length])?;
    }
}
