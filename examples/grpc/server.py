"""A stock grpcio server with a method of each kind, on GRPC_PORT (default 50051)."""

import os
import signal
import time
from concurrent import futures

import grpc

from stubs import Words, services


class Echo(services.EchoServicer):
    def Say(self, request, context):
        metadata = dict(context.invocation_metadata())
        context.set_trailing_metadata((("echo-saw", metadata.get("echo-ask", "nothing")),))
        return request

    def Join(self, requests, context):
        return Words(text=" ".join(request.text for request in requests))

    def Split(self, request, context):
        for word in request.text.split():
            yield Words(text=word)

    def Talk(self, requests, context):
        for request in requests:
            yield Words(text=request.text.upper())

    def Fail(self, request, context):
        context.set_trailing_metadata((("echo-detail-bin", b"\x00\xff"),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"no: {request.text} ∆")

    def Wait(self, request, context):
        time.sleep(min(int(request.text), 10_000) / 1000)
        return request

    def Secret(self, request, context):
        return Words(text="you should not read this")


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    services.add_EchoServicer_to_server(Echo(), server)
    port = int(os.environ.get("GRPC_PORT", "50051"))
    if server.add_insecure_port(f"0.0.0.0:{port}") != port:
        raise SystemExit(f"port {port} is taken")
    server.start()
    print(f"serving on {port}", flush=True)
    # Finish what runs, then leave: the signal handler only says that it is time.
    signal.signal(signal.SIGTERM, lambda *_: server.stop(grace=5))
    server.wait_for_termination()


main()
