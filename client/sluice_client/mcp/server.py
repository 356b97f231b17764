"""The official SDK's server over the tools."""

from typing import Any

import jsonschema
import mcp_types as types
import uvicorn
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from sluice_client.connection import USER_AGENT, AsyncConnection, Settings
from sluice_client.errors import SluiceError
from sluice_client.mcp.tools import MAX_RESULT_BYTES, TOOLS, Tool

HOST = "127.0.0.1"
_INSTRUCTIONS = "Call get_schema first. Prefer get_statistics to reading many records. Times are UTC."
_BY_NAME = {tool.name: tool for tool in TOOLS}
_Context = ServerRequestContext[Any, Any]


async def serve(settings: Settings, port: int | None) -> None:
    """Answer agents on stdio, or with a port on HTTP, until the end of the input or a signal."""
    connection = AsyncConnection(settings, None)
    server = make_server(connection)
    try:
        if port is None:
            async with stdio_server() as (read, write):
                await server.run(read, write, server.create_initialization_options())
        else:
            # With this host the SDK refuses foreign values of Host and Origin: no web page may use the token.
            app = server.streamable_http_app(host=HOST, json_response=True, stateless_http=True)
            await uvicorn.Server(uvicorn.Config(app, host=HOST, port=port, log_level="warning")).serve()
    finally:
        await connection.close()


def make_server(connection: AsyncConnection) -> Server[Any]:
    """Return a server whose tools make their requests over a connection."""

    async def list_tools(_: _Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_document(tool) for tool in TOOLS])

    async def call_tool(_: _Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool, given = _BY_NAME.get(params.name), params.arguments or {}
        if tool is None:
            return _failed(f"there is no tool {params.name[:100]!r}; the tools are {', '.join(_BY_NAME)}")
        if faults := [_fault(error) for error in jsonschema.Draft202012Validator(tool.schema()).iter_errors(given)]:
            return _failed(f"{'; '.join(faults)} (arguments of {tool.name}: {', '.join(tool.arguments) or 'none'})")
        try:
            texts = await connection.value(tool.call(given))
        except (SluiceError, ValueError, OSError) as error:  # of the API; arguments; the token's file
            return _failed(str(error))
        return types.CallToolResult(content=[types.TextContent(text=text) for text in texts])

    return Server(
        "sluice",
        version=USER_AGENT.partition("/")[2],
        title="Sluice",
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _document(tool: Tool) -> types.Tool:
    reads_only = types.ToolAnnotations(read_only_hint=True, open_world_hint=False)
    return types.Tool(name=tool.name, description=tool.description, input_schema=tool.schema(), annotations=reads_only)


def _fault(error: jsonschema.ValidationError) -> str:
    path = ".".join(map(str, error.absolute_path))
    return f"{path}: {error.message}" if path else error.message


def _failed(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text[:MAX_RESULT_BYTES])], is_error=True)
