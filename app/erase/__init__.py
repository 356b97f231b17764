"""Erasure of one record: all its versions and copies, and the rejects that hold it. People have a right to it.

eraser     the seam: what a store must be able to do beside running queries
payloads   whether the bytes of a reject hold a record with an id
erasure    find, delete, and look at what remains; the same over every store
endpoint   DELETE /v1/records/{id}
__main__   python -m app.erase --id …
"""
