"""A TCP relay in front of a server, whose connections can be cut, frozen or refused."""

import asyncio
import contextlib
import socket
import struct

_CHUNK_BYTES = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: close() then sends RST


class Link:
    """One connection through the relay."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._near, self._far = near, far
        self._flows = asyncio.Event()
        self._flows.set()
        self.far_port: int = far.get_extra_info("sockname")[1]
        """What the server sees as its peer's port."""
        self.open = True

    def cut(self) -> None:
        """Reset it, on both sides, without a word."""
        for writer in (self._near, self._far):
            if writer.is_closing():
                continue
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        self._flows.set()

    def freeze(self) -> None:
        """Carry nothing more, in either direction; both sides believe that it is open."""
        self._flows.clear()

    def thaw(self) -> None:
        """Carry what was held back, and go on."""
        self._flows.set()

    async def carry(self, near: asyncio.StreamReader, far: asyncio.StreamReader) -> None:
        """Carry bytes both ways until one side closes."""
        flows = [asyncio.ensure_future(self._flow(near, self._far)), asyncio.ensure_future(self._flow(far, self._near))]
        try:
            await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for flow in flows:
                flow.cancel()
            await asyncio.gather(*flows, return_exceptions=True)
            self.open = False
            for writer in (self._near, self._far):
                writer.close()
                if not self._flows.is_set():
                    writer.transport.abort()  # what was held back would be waited for
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _flow(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK_BYTES):
                await self._flows.wait()
                target.write(data)
                await target.drain()


class Wire:
    """Listens on a port of its own and relays to `target_port`, which may be changed for new connections."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.links: list[Link] = []
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def open_links(self) -> list[Link]:
        """The connections that are open."""
        return [link for link in self.links if link.open]

    def link(self, far_port: int) -> Link:
        """Return the connection that the server knows by this port."""
        return next(link for link in reversed(self.links) if link.far_port == far_port)

    async def up(self) -> None:
        """Listen: at first on a free port, later on the same one again."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=100)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def down(self) -> None:
        """Refuse new connections; those that are open stay so."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def close(self) -> None:
        """Stop listening and cut everything."""
        self.down()
        for link in self.open_links:
            link.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        """Accept a connection, and own it from that moment on.

        `asyncio.Server` leaks one that it has accepted if it is closed before the loop's next turn (Python 3.11).
        """
        try:
            accepted, _ = listener.accept()
        except OSError:  # the client has left
            return
        task = asyncio.ensure_future(self._relay(accepted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, accepted: socket.socket) -> None:
        near_reader, near = await asyncio.open_connection(sock=accepted)
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            near.transport.abort()
            return
        link = Link(near, far)
        self.links.append(link)
        await link.carry(near_reader, far_reader)
