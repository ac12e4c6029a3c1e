"""The messages and stubs of echo.proto, made by grpcio-tools when the program starts."""

import pathlib
import sys

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).parent))
messages, services = grpc.protos_and_services("echo.proto")
Words = messages.Words
