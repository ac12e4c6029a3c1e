#!/usr/bin/env python3
"""`tcp_echo.py WORD PORT` sends back each line with WORD in front of it."""
import socketserver
import sys

WORD, PORT = sys.argv[1], int(sys.argv[2])


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(WORD.encode() + b" " + line)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("0.0.0.0", PORT), Echo).serve_forever()
