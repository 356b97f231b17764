"""The attribute names of spans. Their values are numbers, fixed words, or the ids of a message and its subscription.

Names are OpenTelemetry's where it defines one
(https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/,
https://opentelemetry.io/docs/specs/semconv/database/database-spans/,
https://opentelemetry.io/docs/specs/semconv/http/http-spans/).
"""

ERROR_TYPE = "error.type"

MESSAGING_SYSTEM = "messaging.system"
MESSAGING_OPERATION = "messaging.operation.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
MESSAGING_SUBSCRIPTION = "messaging.destination.subscription.name"
MESSAGING_MESSAGE_ID = "messaging.message.id"
MESSAGING_BODY_SIZE = "messaging.message.body.size"

DB_SYSTEM = "db.system.name"
DB_COLLECTION = "db.collection.name"
DB_OPERATION = "db.operation.name"
DB_BATCH_SIZE = "db.operation.batch.size"
DB_ROWS = "db.response.returned_rows"

HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"

OUTCOME = "sluice.outcome"
APPEND_SIZE = "sluice.append.size"
PURPOSE = "sluice.query.purpose"
BYTES_PROCESSED = "sluice.query.bytes_processed"
CACHE = "sluice.cache"
REQUEST_KIND = "sluice.request.kind"
