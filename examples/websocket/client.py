"""A client by the `websockets` library against WEBSOCKET_HOST: text, bytes, fragments, pings, closing codes,
silence and many connections at once. Any deviation ends with a non-zero status.
"""

import asyncio
import os
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

MEBIBYTE = 1024 * 1024
URL = f"ws://{os.environ.get('WEBSOCKET_HOST', 'websocket')}:{os.environ.get('WEBSOCKET_PORT', '8765')}/echo"
OPTIONS = {"proxy": None, "max_size": 8 * MEBIBYTE, "open_timeout": 10}


def expect(what, wanted, found):
    if wanted != found:
        sys.exit(f"FAILED: {what}: expected {wanted!r}, found {found!r}")
    print(f"ok: {what}: {found if len(str(found)) < 80 else '...'}", flush=True)


async def wait_until_served(seconds=60):
    """The server may still be starting."""
    for _ in range(seconds * 5):
        try:
            async with connect(URL, **OPTIONS):
                return
        except Exception as error:  # whatever it is, it is printed when time is up
            last = error
            await asyncio.sleep(0.2)
    sys.exit(f"FAILED: no WebSocket at {URL} in {seconds} s: {last!r}")


async def messages():
    async with connect(URL, **OPTIONS) as connection:
        await connection.send("hello")
        expect("text", "hello", await connection.recv())
        await connection.send("grüße ∆")
        expect("text beyond ASCII", "grüße ∆", await connection.recv())
        load = os.urandom(4 * MEBIBYTE)
        await connection.send(load)
        expect("4 MiB of bytes there and back", True, await connection.recv() == load)
        await connection.send(["one ", "two ", "three"])
        expect("a message in fragments", "one two three", await connection.recv())
        await asyncio.wait_for(await connection.ping(), timeout=10)
        expect("a ping is answered", True, True)
        # Nobody speaks for a while; the connection must still be there.
        await asyncio.sleep(2)
        await connection.send("still there?")
        expect("after two silent seconds", "still there?", await connection.recv())


async def closing():
    async with connect(URL, **OPTIONS) as connection:
        await connection.send("bye")
        try:
            await connection.recv()
            sys.exit("FAILED: the server did not close")
        except ConnectionClosed as closed:
            expect("the server's closing code", 4001, closed.rcvd.code)
            expect("and its words", "as you wish", closed.rcvd.reason)


async def talker(number, turns):
    async with connect(URL, **OPTIONS) as connection:
        wrong = 0
        for turn in range(turns):
            text = f"{number}/{turn}"
            await connection.send(text)
            wrong += await connection.recv() != text
        return wrong


async def crowd(talkers=20, turns=100):
    wrong = await asyncio.gather(*(talker(number, turns) for number in range(talkers)))
    expect(f"wrong answers of {talkers} connections with {turns} turns each", 0, sum(wrong))


async def main():
    await wait_until_served()
    await messages()
    await closing()
    await crowd()
    print("websocket: all as expected")


asyncio.run(main())
