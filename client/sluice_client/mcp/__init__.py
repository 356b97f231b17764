"""The API as tools for agents, over the Model Context Protocol; needs the extra `mcp`.

tools      the tools, and the requests that a call of each makes; without input and output
server     the official SDK's server over them, on stdio or on a loopback port
command    `sluice-client mcp URL`

Only `server` imports the SDK, and only the running command imports `server`.
"""
