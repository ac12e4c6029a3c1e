"""A stock grpcio client against GRPC_HOST: every kind of call, errors, deadlines, trailers.

Any deviation ends with a non-zero status.
"""

import os
import queue
import sys
import threading
import time

import grpc

from stubs import Words, services

MEBIBYTE = 1024 * 1024


def expect(what, wanted, found):
    if wanted != found:
        sys.exit(f"FAILED: {what}: expected {wanted!r}, found {found!r}")
    print(f"ok: {what}: {found if len(str(found)) < 80 else '...'}", flush=True)


def words(*texts):
    return [Words(text=text) for text in texts]


def failure_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    sys.exit("FAILED: a call succeeded that must not")


def unary(echo):
    answer, call = echo.Say.with_call(Words(text="hello"), metadata=(("echo-ask", "who"),), timeout=10)
    expect("unary", "hello", answer.text)
    expect("its trailer", "who", dict(call.trailing_metadata())["echo-saw"])
    load = os.urandom(3 * MEBIBYTE)
    expect("3 MiB there and back", True, echo.Say(Words(load=load), timeout=30).load == load)


def streams(echo):
    expect("client streaming", "a b c", echo.Join(iter(words("a", "b", "c")), timeout=10).text)
    expect("client streaming of nothing", "", echo.Join(iter([]), timeout=10).text)
    expect("server streaming", ["x", "y", "z"], [w.text for w in echo.Split(Words(text="x y z"), timeout=10)])
    many = " ".join(str(n) for n in range(5_000))
    expect("server streaming of 5000", 5_000, sum(1 for _ in echo.Split(Words(text=many), timeout=30)))


def conversation(echo):
    """Each word is sent only after the answer to the one before: a proxy that waited for the end would hang."""
    outbox = queue.Queue()
    answers = echo.Talk(iter(outbox.get, None), timeout=20)
    heard = []
    for text in ["one", "two", "three"]:
        outbox.put(Words(text=text))
        heard.append(next(answers).text)
    outbox.put(None)
    expect("bidirectional streaming in turns", ["ONE", "TWO", "THREE"], heard)
    expect("and then the end", [], list(answers))


def failures(echo):
    error = failure_of(lambda: echo.Fail(Words(text="not now"), timeout=10))
    expect("a status", grpc.StatusCode.FAILED_PRECONDITION, error.code())
    expect("its message", "no: not now ∆", error.details())
    expect("its binary trailer", b"\x00\xff", dict(error.trailing_metadata())["echo-detail-bin"])
    error = failure_of(lambda: echo.Wait(Words(text="5000"), timeout=0.5))
    expect("a deadline that passes", grpc.StatusCode.DEADLINE_EXCEEDED, error.code())


def policy(echo):
    if os.environ.get("IN_MESH") != "1":
        expect("without a mesh nobody denies", True, bool(echo.Secret(Words(), timeout=10).text))
        return
    error = failure_of(lambda: echo.Secret(Words(), timeout=10))
    expect("a method that policy denies", grpc.StatusCode.PERMISSION_DENIED, error.code())
    metadata = dict(error.initial_metadata() or ()) | dict(error.trailing_metadata() or ())
    expect("and why", True, bool(metadata.get("wattle-reason")))


def crowd(echo, callers=8, calls=200):
    """Many calls at once on one channel: all succeed, and none gets the answer of another."""
    wrong = []

    def caller(number):
        for call in range(calls):
            text = f"{number}/{call}"
            try:
                if echo.Say(Words(text=text), timeout=30).text != text:
                    wrong.append(text)
            except grpc.RpcError as error:
                wrong.append(f"{text}: {error.code()}")

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(callers)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(f"wrong answers among {callers * calls} calls at once", [], wrong)
    print(f"{callers * calls / (time.monotonic() - started):.0f} calls per second")


def main():
    host = os.environ.get("GRPC_HOST", "grpc")
    port = os.environ.get("GRPC_PORT", "50051")
    with grpc.insecure_channel(f"{host}:{port}", options=(("grpc.enable_http_proxy", 0),)) as channel:
        echo = services.EchoStub(channel)
        # The server may still be starting; a refused call has not reached it and is safe to repeat.
        echo.Say(Words(text="ready?"), timeout=60, wait_for_ready=True)
        for part in (unary, streams, conversation, failures, policy, crowd):
            part(echo)
    print("grpc: all as expected")


main()
