"""A gRPC server that says its name, and a client that is configured over xDS, without generated code.

`xds.py serve NAME PORT` answers every call with NAME. `xds.py watch HOST:PORT` calls `xds:///HOST:PORT` again and again on
one channel and prints, once for every ten calls, who answered them, or what the call failed with. `xds.py own HOST:PORT
CONTROL DIRECTORY` does so without a proxy: with the certificates that its bootstrap names, if any, and with discovery from
the control plane at CONTROL under those of the directory.
"""
import asyncio
import ssl
import sys
import threading
import time
from concurrent import futures

import grpc
import grpc.experimental

METHOD = "/test.Who/Say"
# Where a bootstrap says that discovery is.
DISCOVERY = ("127.0.0.1", 15010)


class Who(grpc.GenericRpcHandler):
    def __init__(self, name):
        self.name = name.encode()

    def service(self, _details):
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: self.name)


def serve(name, port):
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=(Who(name),))
    server.add_insecure_port(f"0.0.0.0:{port}")
    server.start()
    server.wait_for_termination()


def watch(channel):
    say = channel.unary_unary(METHOD)
    while True:
        answers = set()
        for _ in range(10):
            try:
                answers.add(say(b"", timeout=5).decode())
            except grpc.RpcError as error:
                answers.add(f"{error.code().name}: {error.details()}")
        print(",".join(sorted(answers)), flush=True)
        time.sleep(0.1)


def tunnel(control, directory):
    """Carries discovery to the control plane over mutual TLS: gRPC would ask for a host name in its certificate."""
    context = ssl.create_default_context(cafile=f"{directory}/ca.crt")
    context.check_hostname = False
    context.load_cert_chain(f"{directory}/tls.crt", f"{directory}/tls.key")
    context.set_alpn_protocols(["h2"])
    host, port = control.rsplit(":", 1)
    ready = threading.Event()

    async def copy(reader, writer):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    async def carry(reader, writer):
        far_reader, far_writer = await asyncio.open_connection(host, int(port), ssl=context)
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    async def run():
        async with await asyncio.start_server(carry, *DISCOVERY) as server:
            ready.set()
            await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
    ready.wait()


match sys.argv[1:]:
    case ["serve", name, port]:
        serve(name, port)
    case ["watch", target]:
        with grpc.insecure_channel(f"xds:///{target}") as channel:
            watch(channel)
    case ["own", target, control, directory]:
        tunnel(control, directory)
        credentials = grpc.xds_channel_credentials(grpc.experimental.insecure_channel_credentials())
        with grpc.secure_channel(f"xds:///{target}", credentials) as channel:
            watch(channel)
