"""The API's documentation: the OpenAPI document, and a page to browse it that works offline.

document        /openapi/openapi.json: the contracts of the routes (app.http.contract) as one document, with an example
                of each problem
                /docs: the reference page, Swagger UI under a strict Content-Security-Policy
assets/         its script and style
vendor/         Swagger UI, copied from npm by `app/page/vendor.sh`
"""
