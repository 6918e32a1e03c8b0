CREATE TABLE topics (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    partitions   INTEGER NOT NULL,
    compacted    INTEGER NOT NULL,
    retention_us INTEGER
) STRICT;

CREATE TABLE partitions (
    id            INTEGER PRIMARY KEY,
    topic_id      INTEGER NOT NULL REFERENCES topics (id),
    partition     INTEGER NOT NULL,
    earliest      INTEGER NOT NULL DEFAULT 0,
    next          INTEGER NOT NULL DEFAULT 0,
    max_timestamp INTEGER NOT NULL DEFAULT -9223372036854775808,
    UNIQUE (topic_id, partition)
) STRICT;

CREATE TABLE entries (
    partition_id INTEGER NOT NULL,
    offset       INTEGER NOT NULL,
    timestamp    INTEGER NOT NULL,
    key          BLOB,
    value        BLOB,
    headers      BLOB,
    PRIMARY KEY (partition_id, offset)
) STRICT, WITHOUT ROWID;

CREATE TABLE time_marks (
    partition_id  INTEGER NOT NULL,
    offset        INTEGER NOT NULL,
    max_timestamp INTEGER NOT NULL,
    PRIMARY KEY (partition_id, offset)
) STRICT, WITHOUT ROWID;

CREATE TABLE compacted_keys (
    partition_id INTEGER NOT NULL,
    key          BLOB    NOT NULL,
    offset       INTEGER NOT NULL,
    PRIMARY KEY (partition_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE group_offsets (
    group_id     TEXT    NOT NULL,
    partition_id INTEGER NOT NULL,
    offset       INTEGER NOT NULL,
    PRIMARY KEY (group_id, partition_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE groups (
    id           TEXT    PRIMARY KEY,
    generation   INTEGER NOT NULL,
    incarnations INTEGER NOT NULL,
    tasks        INTEGER NOT NULL,
    topics       TEXT    NOT NULL,
    draining_us  INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
    group_id    TEXT    NOT NULL,
    instance    TEXT    NOT NULL,
    incarnation INTEGER NOT NULL,
    session_us  INTEGER NOT NULL,
    lease_us    INTEGER NOT NULL,
    first_task  INTEGER NOT NULL,
    tasks       INTEGER NOT NULL,
    PRIMARY KEY (group_id, instance)
) STRICT, WITHOUT ROWID;

CREATE TABLE writers (
    id    TEXT    PRIMARY KEY,
    epoch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- `headers` as JSON, [[name, value], ...]; a value with a zero byte in it as "hex:...". The blob is a row of
-- parts with their lengths in front: four bytes, little-endian, read here by their hex digits.
CREATE VIEW records (topic, partition, offset, timestamp, key, value, headers) AS
SELECT t.name, p.partition, e.offset, e.timestamp, e.key, e.value,
    CASE WHEN e.headers IS NOT NULL THEN (
        WITH RECURSIVE parts (n, at, size) AS (
            SELECT -1, 1, -4
            UNION ALL
            SELECT n + 1, at + 4 + size, (
                SELECT instr('123456789ABCDEF', substr(x, 1, 1)) * 16
                     + instr('123456789ABCDEF', substr(x, 2, 1))
                     + instr('123456789ABCDEF', substr(x, 3, 1)) * 4096
                     + instr('123456789ABCDEF', substr(x, 4, 1)) * 256
                     + instr('123456789ABCDEF', substr(x, 5, 1)) * 1048576
                     + instr('123456789ABCDEF', substr(x, 6, 1)) * 65536
                FROM (SELECT hex(substr(e.headers, at + 4 + size, 4)) AS x))
            FROM parts
            WHERE at + 4 + size < length(e.headers)
        )
        SELECT json_group_array(json_array(
            CAST(substr(e.headers, name.at + 4, name.size) AS TEXT),
            iif(instr(substr(e.headers, value.at + 4, value.size), x'00'),
                'hex:' || hex(substr(e.headers, value.at + 4, value.size)),
                CAST(substr(e.headers, value.at + 4, value.size) AS TEXT))))
        FROM parts name JOIN parts value ON value.n = name.n + 1
        WHERE name.n >= 0 AND name.n % 2 = 0
    ) END
FROM entries e
JOIN partitions p ON p.id = e.partition_id
JOIN topics t ON t.id = p.topic_id;
