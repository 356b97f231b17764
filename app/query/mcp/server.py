"""The official SDK's server over the tools: stateless Streamable HTTP, one answer to each POST."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Litestar, asgi
from litestar.handlers import ASGIRouteHandler

from app.http.problems import ProblemError, send_problem
from app.query.mcp.inner import MAX_ANSWER_BYTES, Reply, TooLargeError, ask
from app.query.mcp.tools import ArgumentsError, Tool, tools_of
from app.runtime.packages import missing_package
from app.settings.load import SettingsError
from app.streams import Streams
from app.version import VERSION

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

PATH = "/mcp"
MAX_REQUEST_BYTES = 256 * 1024
_INSTRUCTIONS = (
    "Records that were published to Pub/Sub, stored and served again. Call get_schema first. Prefer get_statistics to "
    "reading many records. Times are UTC; a window is at most what the service keeps."
)


class AgentService:
    """Answers agents. Its lifespan must be entered before the first request."""

    def __init__(self, streams: Streams) -> None:
        """Make the server.

        Raises:
            SettingsError: the SDK is not installed.
        """
        try:
            from mcp.server.lowlevel.server import Server  # noqa: PLC0415 - an extra, and slow to import
            from mcp.server.streamable_http_manager import StreamableHTTPSessionManager  # noqa: PLC0415 - likewise
        except ModuleNotFoundError as error:
            raise SettingsError(missing_package("SLUICE_MCP=true", error, "mcp")) from error
        self._tools = {tool.name: tool for tool in tools_of(streams)}
        server = Server(
            "sluice",
            version=VERSION,
            title="Sluice",
            instructions=_INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
        )
        self._manager = StreamableHTTPSessionManager(
            server, json_response=True, stateless=True, max_request_body_size=MAX_REQUEST_BYTES
        )

    @asynccontextmanager
    async def lifespan(self, _: Litestar) -> AsyncIterator[None]:
        """Let requests be answered."""
        async with self._manager.run():
            yield

    def route(self) -> ASGIRouteHandler:
        """Return the route. Its guard admits callers; what they may read is up to the routes that a call asks."""

        @asgi(PATH)
        async def answer_agents(scope: Any, receive: Any, send: Any) -> None:
            if scope["method"] == "POST":
                await self._manager.handle_request(scope, receive, send)
            else:
                only = "POST a JSON-RPC message: there are no sessions, and no stream to open or close"
                await send_problem(ProblemError("method_not_allowed", only, headers={"Allow": "POST"}), send)

        return answer_agents

    async def _list_tools(
        self, _: "ServerRequestContext[Any, Any]", __: "PaginatedRequestParams | None"
    ) -> "ListToolsResult":
        from mcp_types import ListToolsResult, ToolAnnotations  # noqa: PLC0415 - imported by now
        from mcp_types import Tool as ToolDocument  # noqa: PLC0415 - likewise

        reads_only = ToolAnnotations(read_only_hint=True, open_world_hint=False)
        return ListToolsResult(
            tools=[
                ToolDocument(
                    name=tool.name,
                    description=tool.description,
                    input_schema=tool.schema(),
                    annotations=reads_only,
                )
                for tool in self._tools.values()
            ]
        )

    async def _call_tool(
        self, context: "ServerRequestContext[Any, Any]", params: "CallToolRequestParams"
    ) -> "CallToolResult":
        tool = self._tools.get(params.name)
        if tool is None:
            return _failed(f"there is no tool {params.name[:100]!r}; the tools are {', '.join(self._tools)}")
        try:
            reply = await self._reply(tool, params.arguments or {}, context)
        except ArgumentsError as error:
            return _failed(str(error))
        except TooLargeError:
            return _failed(
                f"the answer has more than {MAX_ANSWER_BYTES // 1024} KiB: ask for fewer `fields`, a smaller `limit` "
                "or a shorter window"
            )
        return _result(reply)

    @staticmethod
    async def _reply(tool: Tool, given: dict[str, Any], context: "ServerRequestContext[Any, Any]") -> Reply:
        request = tool.request(given)
        outer = context.request.scope  # type: ignore[union-attr]
        return await ask(outer["litestar_app"], outer, request.path, request.query)


def _result(reply: Reply) -> "CallToolResult":
    from mcp_types import CallToolResult, TextContent  # noqa: PLC0415 - imported by now

    text = reply.body.decode()
    if reply.status >= 400:
        wait = reply.headers.get("retry-after")
        return _failed(f"{text}\nTry again in {wait} s." if wait else text)
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=msgspec.json.decode(reply.body)
    )


def _failed(text: str) -> "CallToolResult":
    from mcp_types import CallToolResult, TextContent  # noqa: PLC0415 - imported by now

    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
