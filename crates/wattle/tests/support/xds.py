"""A gRPC server that says its name, and clients, configured over xDS or not, without generated code.

`xds.py serve NAME PORT [FILE]` answers every call with NAME, and writes a line for each to FILE. `xds.py watch HOST:PORT`
calls `xds:///HOST:PORT` again and again on one channel and prints, once for every ten calls, who answered them, or what the
call failed with. `xds.py own HOST:PORT CONTROL DIRECTORY` does so without a proxy: with the certificates that its bootstrap
names, if any, and with discovery from the control plane at CONTROL under those of the directory.

`xds.py keep HOST:PORT` calls `xds:///HOST:PORT` under the certificates that its bootstrap names, on one channel that lasts
and on a new one each time, and prints a line for each such round.

`xds.py guard PORT` is a server that leaves it to its bootstrap how connections are secured, and says when it has started; told
nothing, it would take plaintext. `xds.py knock HOST:PORT` calls in plaintext again and again, and prints a line for each call.

`xds.py ask [CONTROL DIRECTORY]` makes one call, on a channel of its own, for each line of its input, a JSON object of
`target`, with `roots`, `chain` and `key` for TLS, or with `bootstrap` for `xds:///` targets; it answers each with a line: a
JSON object of `answer`, or of `code`, `details` and `reason`, the mesh's own.
"""
import asyncio
import json
import ssl
import sys
import threading
import time
from concurrent import futures

import grpc
import grpc.experimental

METHOD = "/test.Who/Say"
# Bootstrap of one channel: otherwise a process has one, from its environment.
BOOTSTRAP = "grpc.TEST_ONLY_DO_NOT_USE_IN_PROD.xds_bootstrap_config"
# Where a bootstrap says that discovery is.
DISCOVERY = ("127.0.0.1", 15010)


class Who(grpc.GenericRpcHandler):
    def __init__(self, name, calls):
        self.name = name.encode()
        self.calls = calls and open(calls, "a", buffering=1)

    def say(self, _request, _context):
        if self.calls:
            self.calls.write("called\n")
        return self.name

    def service(self, _details):
        return grpc.unary_unary_rpc_method_handler(self.say)


def serve(name, port, calls=None):
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=(Who(name, calls),))
    server.add_insecure_port(f"0.0.0.0:{port}")
    server.start()
    server.wait_for_termination()


def guard(port):
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=(Who("guard", None),), xds=True)
    credentials = grpc.xds_server_credentials(grpc.insecure_server_credentials())
    server.add_secure_port(f"0.0.0.0:{port}", credentials)
    server.start()
    print("started", flush=True)
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


def say(channel):
    try:
        return channel.unary_unary(METHOD)(b"", timeout=5).decode()
    except grpc.RpcError as error:
        return f"{error.code().name}: {error.details()}"


def secured(target):
    credentials = grpc.xds_channel_credentials(grpc.experimental.insecure_channel_credentials())
    # With connections of its own, and so with handshakes of its own.
    return grpc.secure_channel(target, credentials, options=[("grpc.use_local_subchannel_pool", 1)])


def keep(target):
    with secured(target) as lasting:
        while True:
            with secured(target) as fresh:
                print(say(lasting), say(fresh), flush=True)
            time.sleep(0.05)


def knock(target):
    while True:
        with grpc.insecure_channel(target) as channel:
            print(say(channel), flush=True)
        time.sleep(0.05)


def channel_for(cell):
    target = cell["target"]
    if bootstrap := cell.get("bootstrap"):
        credentials = grpc.xds_channel_credentials(grpc.experimental.insecure_channel_credentials())
        return grpc.secure_channel(target, credentials, options=[(BOOTSTRAP, bootstrap)])
    if roots := cell.get("roots"):
        parts = (part.encode() for part in (roots, cell["key"], cell["chain"]))
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(*parts))
    return grpc.insecure_channel(target)


def ask(cell):
    with channel_for(cell) as channel:
        try:
            return {"answer": channel.unary_unary(METHOD)(b"", timeout=20).decode()}
        except grpc.RpcError as error:
            said = dict([*(error.initial_metadata() or ()), *(error.trailing_metadata() or ())])
            reason = said.get("wattle-reason")
            return {"code": error.code().name, "details": error.details(), "reason": reason}


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
    case ["serve", *arguments]:
        serve(*arguments)
    case ["watch", target]:
        with grpc.insecure_channel(f"xds:///{target}") as channel:
            watch(channel)
    case ["own", target, control, directory]:
        tunnel(control, directory)
        credentials = grpc.xds_channel_credentials(grpc.experimental.insecure_channel_credentials())
        with grpc.secure_channel(f"xds:///{target}", credentials) as channel:
            watch(channel)
    case ["guard", port]:
        guard(port)
    case ["knock", target]:
        knock(target)
    case ["keep", target]:
        keep(f"xds:///{target}")
    case ["ask", *discovery]:
        if discovery:
            tunnel(*discovery)
        for line in sys.stdin:
            print(json.dumps(ask(json.loads(line))), flush=True)
