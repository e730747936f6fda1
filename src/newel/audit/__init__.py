"""The transparency log without a database: leaves, their catalogue, personal fields, hashes."""
