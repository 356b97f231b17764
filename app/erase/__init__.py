"""Erasure of one record: all its versions and copies, and the rejects that hold it. People have a right to it.

payloads   whether the payload of a reject holds a record with a given id
erasure    find, delete, count what remains; the same for every store
endpoint   DELETE /v1/records/{id}
__main__   python -m app.erase --id …
"""
