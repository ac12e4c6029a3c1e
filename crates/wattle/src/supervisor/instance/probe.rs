//! Telling whether an application is ready.

use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;

use anyhow::Context as _;
use bytes::Bytes;
use http::Method;
use tokio::net::{TcpSocket, TcpStream};
use wattle_api::Probe;
use wattle_capture::exec::Reach;
use wattle_capture::{Netns, SpawnSpec};

use crate::mesh::ask;

use super::application::working_directory;
use super::face::Face;
use super::network::Network;

/// Tries once; the failure says why it is not ready.
pub(super) async fn attempt(face: &Face, network: &Network, probe: &Probe) -> anyhow::Result<()> {
    match probe {
        Probe::TcpSocket { port } => connect(&network.netns, at(network.address, port.number()))
            .await
            .map(drop),
        Probe::HttpGet { path, port } => {
            let address = at(network.address, port.number());
            let stream = connect(&network.netns, address).await?;
            let (status, _) =
                ask::exchange(stream, Method::GET, &address.to_string(), path, Bytes::new()).await?;
            let ready = status.is_success() || status.is_redirection();
            anyhow::ensure!(ready, "{path} was answered with {status}");
            Ok(())
        }
        Probe::Exec { command } => run(face, network, command).await,
    }
}

fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

/// Dials from the workload's own namespace, where its own address is not redirected.
async fn connect(netns: &Netns, address: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = netns.enter(|| {
        if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }
    })?;
    let socket = socket.context("cannot make a socket")?;
    socket
        .connect(address)
        .await
        .with_context(|| format!("nothing accepts connections at {address}"))
}

/// Runs a command as the application would; its output is nobody's. Dropped, it ends.
async fn run(face: &Face, network: &Network, words: &[String]) -> anyhow::Result<()> {
    let mut program = SpawnSpec::new(
        words.first().cloned().unwrap_or_default(),
        words.iter().skip(1).cloned(),
    );
    program.run_as = face.spec.run_as();
    // To ask whether another process is there is a signal to it.
    program.reach = Reach::Others;
    program.binds = face.world.workload_binds(&network.names);
    let mut command = program.command()?;
    command.current_dir(working_directory(&face.spec.process));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let exit = network.spawn(command).await?.wait().await?;
    anyhow::ensure!(
        exit.is_success(),
        "`{}` ended with {}",
        words.join(" "),
        exit.code
    );
    Ok(())
}
