"""Turns record batches into the encapsulated messages of an Arrow IPC stream, and back."""

from collections.abc import Mapping

import pyarrow as pa

END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""What ends a whole stream (https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format)."""


def schema_message(schema: pa.Schema) -> pa.Buffer:
    """Encode what a stream begins with."""
    return schema.serialize()


def batch_message(batch: pa.RecordBatch) -> pa.Buffer:
    """Encode one record batch; a slice of a larger one carries its own rows only."""
    return batch.serialize()


def note_message(schema: pa.Schema, note: Mapping[str, str]) -> pa.Buffer:
    """Encode a batch of no rows whose custom metadata is `note`: how ODP sends a cursor or an error inside a stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(empty_batch(schema), dict(note))
    stream = sink.getvalue()
    start = schema_message(schema).size
    return stream.slice(start, stream.size - start - len(END_OF_STREAM))


def read_batch(message: pa.Buffer, schema: pa.Schema) -> pa.RecordBatch:
    """Decode one record batch without copying it."""
    return pa.ipc.read_record_batch(message, schema)


def empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch of no rows."""
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
