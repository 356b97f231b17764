"""From bytes to rows: envelopes, payloads, records, their faults and rejects."""
