"""Calls the ratings as any gRPC client would; prints one line a finding. Needs grpcio and nothing generated."""

import struct
import sys

import grpc


def ask(product, limit=None):
    """A request by hand: varint fields 1 and 2, both small."""
    return bytes([8, product]) + (bytes([16, limit]) if limit is not None else b"")


def rating(data):
    """product (varint 1), stars (double 2), votes (varint 3)."""
    assert data[0] == 8 and data[2] == 0x11 and data[11] == 24, data
    return data[1], struct.unpack("<d", data[3:11])[0], data[12]


channel = grpc.insecure_channel(sys.argv[1])
rate = channel.unary_unary("/wattle.demo.v1.Ratings/Rate")
list_votes = channel.unary_stream("/wattle.demo.v1.Ratings/ListVotes")
unknown = channel.unary_unary("/wattle.demo.v1.Ratings/Forget")

product, stars, votes = rating(rate(ask(7), timeout=10))
print(f"rating: {product} {stars:.2f} {votes}")
print(f"votes: {len(list(list_votes(ask(7, 100), timeout=10)))} {len(list(list_votes(ask(7, 3), timeout=10)))}")
for method, request in [(rate, ask(99)), (unknown, b""), (rate, b"")]:
    try:
        method(request, timeout=10)
    except grpc.RpcError as error:
        print(f"refused: {error.code().name}: {error.details()}")
