"""Erasure of one record: all its versions and copies, and the rejects that hold it. It serves the right to erasure.

payloads   whether the payload of a reject holds a record with a given id
erasure    find, delete and count the remaining rows; the same for every store
endpoint   DELETE /v1/records/{id}, or with ?id=
__main__   sluice erase --id …
"""
