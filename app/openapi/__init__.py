"""The API as it is documented: the OpenAPI document, and a page to browse it that works offline.

document    /openapi/openapi.json: the framework's document of the routes, completed
completion  what all operations have in common: tokens, problems with examples, headers, links
problems    which problem belongs to which operation, and what each looks like
bodies      what is sent: the record's JSON Schema, a push message
about       the words of the document's front page
page        /docs: Swagger UI from an installed package, under a strict Content-Security-Policy
"""
