"""A gRPC server that says its name, and a client that is configured over xDS, without generated code.

`xds.py serve NAME PORT` answers every call with NAME. `xds.py watch HOST:PORT` calls `xds:///HOST:PORT` again and again on
one channel and prints, once for every ten calls, who answered them, or what the call failed with.
"""
import sys
import time
from concurrent import futures

import grpc

METHOD = "/test.Who/Say"


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


def watch(target):
    with grpc.insecure_channel(f"xds:///{target}") as channel:
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


serve(*sys.argv[2:]) if sys.argv[1] == "serve" else watch(sys.argv[2])
