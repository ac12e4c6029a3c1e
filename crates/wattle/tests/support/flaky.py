"""A server that fails on request: `flaky.py NAME PORT [NEXT]`.

`GET /?key=K&fail=N` answers 503 to the first N requests with this key; `sick=1` makes the server answer 503 to all
others from then on, `sick=0` ends that; `delay=S` waits; with NEXT, `http://HOST:PORT`, it asks there in turn and
answers with the status that came. Every answer says who it is and how often it was asked for the key.
"""
import json
import sys
import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

NAME, PORT = sys.argv[1], int(sys.argv[2])
NEXT = sys.argv[3] if len(sys.argv) > 3 else ""
LOCK = threading.Lock()
COUNTS = {}
STATE = {"sick": False}


def ask(target):
    connection = HTTPConnection(urlsplit(NEXT).netloc, timeout=30)
    try:
        connection.request("GET", target)
        return connection.getresponse().status
    finally:
        connection.close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave together, or each kept request would wait for an acknowledgement.
    wbufsize = 65536

    def answer(self):
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        length = len(self.rfile.read(int(self.headers.get("content-length") or 0)))
        with LOCK:
            key = query.get("key", "")
            COUNTS[key] = COUNTS.get(key, 0) + 1
            asked = COUNTS[key]
            if "sick" in query:
                STATE["sick"] = query["sick"] == "1"
            sick = STATE["sick"] and "sick" not in query and urlsplit(self.path).path != "/health"
        if NEXT and urlsplit(self.path).path != "/health":
            return self.say(ask(self.path), {"name": NAME, "asked": asked})
        time.sleep(float(query.get("delay", "0")))
        failed = sick or asked <= int(query.get("fail", "0"))
        self.say(503 if failed else 200, {"name": NAME, "asked": asked, "length": length})

    def say(self, status, answer):
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


Server(("0.0.0.0", PORT), Handler).serve_forever()
