"""The API's documentation: the OpenAPI document, and a page to browse it that works offline.

document        /openapi/openapi.json: the contracts of the routes (app.http.contract) as one document
problems        the problems of each operation, with examples
about           the texts of the document's front page
page            /docs: the reference page, Swagger UI under a strict Content-Security-Policy
assets/         its script and style
vendor/         Swagger UI, copied from npm by `app/page/vendor.sh`
"""
