"""A WebSocket echo by the `websockets` library, on WEBSOCKET_PORT (default 8765).

It answers text with the same text and bytes with the same bytes. The text `bye` makes it close with code 4001.
"""

import asyncio
import os
import signal

from websockets.asyncio.server import serve

LARGEST_MESSAGE = 8 * 1024 * 1024


async def echo(connection):
    async for message in connection:
        if message == "bye":
            await connection.close(4001, "as you wish")
            return
        await connection.send(message)


async def main():
    port = int(os.environ.get("WEBSOCKET_PORT", "8765"))
    async with serve(echo, "0.0.0.0", port, max_size=LARGEST_MESSAGE) as server:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.close)
        print(f"serving on {port}", flush=True)
        await server.wait_closed()


asyncio.run(main())
