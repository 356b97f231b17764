"""The API's documentation: the OpenAPI document, and a page to browse it that works offline.

document        /openapi/openapi.json: the contracts of the routes (app.http.contract) as one document
problems        the problems of each operation, with examples
about           the texts of the document's front page
page            /docs: the reference page, under a strict Content-Security-Policy
reference       the contents of the reference page, made from the document
schema_markup   JSON Schema as HTML
markup          HTML as text: elements, escaping, and the Markdown of descriptions
"""
