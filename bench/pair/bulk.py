"""One bulk TCP stream. `bulk.py sink PORT` swallows and reports; `bulk.py send ADDRESS PORT SECONDS` prints what arrived."""
import json
import socket
import sys
import threading
import time


def swallow(connection: socket.socket) -> None:
    """Reads to the end and answers with the number of bytes."""
    buffer, total = bytearray(1 << 20), 0
    with connection:
        while count := connection.recv_into(buffer):
            total += count
        connection.sendall(b"%d" % total)


def sink(port: int) -> None:
    """Serves for as long as its namespace lives."""
    with socket.create_server(("0.0.0.0", port)) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=swallow, args=(connection,), daemon=True).start()


def send(address: str, port: int, seconds: float) -> dict[str, float]:
    """Sends for so long; counts only what the far end says it got."""
    piece = bytes(1 << 18)
    with socket.create_connection((address, port), timeout=30) as connection:
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        arrived = b""
        while said := connection.recv(64):
            arrived += said
    return {"bytes": int(arrived), "seconds": time.monotonic() - start}


if __name__ == "__main__":
    if sys.argv[1] == "sink":
        sink(int(sys.argv[2]))
    else:
        print(json.dumps(send(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))))
