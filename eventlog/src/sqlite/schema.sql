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

CREATE VIEW records (topic, partition, offset, timestamp, key, value, headers) AS
SELECT t.name, p.partition, e.offset, e.timestamp, e.key, e.value, e.headers
FROM entries e
JOIN partitions p ON p.id = e.partition_id
JOIN topics t ON t.id = p.topic_id;
