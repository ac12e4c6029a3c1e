"""The server behind the pair: nginx with one worker answering 1 KiB, and a sink for bulk bytes."""
import sys
from pathlib import Path

from .scenario import GRPC, HTTP1, HTTP2, OPAQUE, TCP
from .world import SERVER, World

BODY_BYTES = 1024

# gRPC as it is on the wire: a POST with a framed message, answered by a framed message and trailers. A file answers
# GET only, so nginx takes the way of its own error page to answer the POST with it.
CONFIG = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.err crit; worker_rlimit_nofile 40000;
events {{ worker_connections 16000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; http2_max_concurrent_streams 1000;
  open_file_cache max=10 inactive=600s;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen {http1} backlog=8192; listen {opaque} backlog=8192;
    location / {{ default_type text/plain; return 200 "{body}"; }} }}
  server {{ listen {http2} http2 backlog=8192; location / {{ default_type text/plain; return 200 "{body}"; }} }}
  server {{ listen {grpc} http2 backlog=8192; root {folder}; default_type application/grpc;
    location = /message {{ error_page 405 =200 /message; add_trailer grpc-status 0 always; }} }}
}}"""


def start(world: World) -> None:
    """Starts both and waits until they listen."""
    message = b"\0" + BODY_BYTES.to_bytes(4, "big") + b"m" * BODY_BYTES
    for name in ("message", "request"):
        (world.folder / name).write_bytes(message)
    config = CONFIG.format(folder=world.folder, body="x" * BODY_BYTES, http1=HTTP1, http2=HTTP2, grpc=GRPC,
                           opaque=OPAQUE)
    nginx = world.start("nginx", SERVER, ["nginx", "-c", str(world.write("nginx.conf", config))])
    sink = world.start("sink", SERVER, [sys.executable, str(Path(__file__).with_name("bulk.py")), "sink", str(TCP)])
    for port in (HTTP1, HTTP2, GRPC, OPAQUE):
        world.wait_for(SERVER, port, nginx, "nginx")
    world.wait_for(SERVER, TCP, sink, "sink")
