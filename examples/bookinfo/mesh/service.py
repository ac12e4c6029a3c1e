#!/usr/bin/env python3
"""One service of the bookshop: `service.py NAME VERSION PORT`. The Python standard library is all it needs.

productpage asks details and reviews; reviews v2 and v3 ask ratings; httpbin answers whatever it is asked. None of them
knows that a mesh is there: they call each other by name, over plain HTTP, and pass on the headers of a user's request.
"""
import json
import sys
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

NAME, VERSION, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
# Headers that belong to the user's request, not to one hop of it.
PASSED_ON = ("end-user", "x-request-id", "traceparent", "cookie", "user-agent")
STARS = {"v2": "black", "v3": "red"}


def call(url, headers, timeout):
    """Status and JSON of another service; its failure is an answer too."""
    request = urllib.request.Request(url, headers={k: v for k, v in headers.items() if k.lower() in PASSED_ON})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, None
    except (OSError, ValueError):
        return 0, None


def productpage(handler, _query):
    details = call("http://details:9080/details/0", handler.headers, 10)
    reviews = call("http://reviews:9080/reviews/0", handler.headers, 6)
    page = {"details": details[1], "details_status": details[0], "reviews": reviews[1], "reviews_status": reviews[0]}
    return 200, page


def details(_handler, _query):
    return 200, {"author": "William Shakespeare", "year": 1595, "version": VERSION}


def reviews(handler, _query):
    page = {"version": VERSION, "reviews": ["an extremely entertaining play", "absolutely fun and entertaining"]}
    if VERSION in STARS:
        status, found = call("http://ratings:9080/ratings/0", handler.headers, 10)
        page["color"] = STARS[VERSION]
        page["ratings"] = found["ratings"] if status == 200 and found else None
    return 200, page


def ratings(_handler, _query):
    return 200, {"ratings": [5, 4], "version": VERSION}


def httpbin(handler, query):
    """Says what it was asked; `delay` waits so many seconds, `status` answers with that."""
    time.sleep(float(query.get("delay", ["0"])[0]))
    asked = {"version": VERSION, "path": handler.path, "host": handler.headers.get("host"), "headers": dict(handler.headers)}
    return int(query.get("status", ["200"])[0]), asked


SERVICES = {"productpage": productpage, "details": details, "reviews": reviews, "ratings": ratings, "httpbin": httpbin}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        if parts.path == "/health":
            status, body = 200, {}
        else:
            status, body = SERVICES[NAME](self, parse_qs(parts.query))
            print(f"{self.command} {self.path} host={self.headers.get('host')} {status}", flush=True)
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

    def log_message(self, *_arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


Server(("0.0.0.0", PORT), Handler).serve_forever()
