"""The API's documentation: the OpenAPI document, and a page to browse it that works offline.

document    /openapi/openapi.json: the framework's document of the routes, completed
completion  additions to all operations: tokens, problems with examples, headers, links
problems    the problems of each operation, with examples
bodies      request bodies: the record's JSON Schema, a push message
about       the texts of the document's front page
page        /docs: Swagger UI from an installed package, under a strict Content-Security-Policy
"""
