"""The API's documentation: the OpenAPI document, and a page to browse it that works offline.

document    /openapi/openapi.json: the contracts of the routes (app.http.contract) as one document
problems    the problems of each operation, with examples
about       the texts of the document's front page
page        /docs: Swagger UI from an installed package, under a strict Content-Security-Policy
"""
