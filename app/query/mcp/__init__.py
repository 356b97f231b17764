"""Agents ask over the Model Context Protocol: `POST /mcp`, with SLUICE_MCP=true (docs/mcp.md).

tools    what an agent may call, and the request of the API that each call is; pure
inner    such a request, made within this process as the caller, through the routes and the guard of the API
server   the official SDK's server over both, and the route

A tool call is a request of the API, so grants, fixed filters, budgets, rate limits and caches are those of the API.
The SDK is imported only where the setting is on.
"""
