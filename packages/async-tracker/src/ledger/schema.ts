/** One step a version; a ledger that is older is brought up to date when it is opened, a newer one is refused. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE task (
    task_id TEXT PRIMARY KEY,
    trace_id TEXT NOT NULL,
    request_key TEXT,
    parent TEXT,
    depth INTEGER NOT NULL,
    state TEXT NOT NULL,
    owner TEXT,
    other_owner TEXT,
    route TEXT,
    spawned_at INTEGER NOT NULL,
    settled_at INTEGER,
    row TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX task_trace ON task (trace_id);
  CREATE INDEX task_request ON task (request_key) WHERE request_key IS NOT NULL;
  CREATE INDEX task_owner ON task (owner) WHERE owner IS NOT NULL;
  CREATE INDEX task_other_owner ON task (other_owner) WHERE other_owner IS NOT NULL;
  CREATE INDEX task_orphan ON task (parent) WHERE parent IS NOT NULL AND request_key IS NULL;
  CREATE INDEX task_bad ON task (spawned_at) WHERE state IN ('failed', 'lost');
  CREATE INDEX task_spawned ON task (spawned_at);
  CREATE TABLE request (
    key TEXT PRIMARY KEY,
    trace_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    row TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX request_trace ON request (trace_id);
  CREATE INDEX request_at ON request (at);
  CREATE TABLE process (key TEXT PRIMARY KEY, dead_at INTEGER, row TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE segment (file TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE outbox (span_id TEXT PRIMARY KEY, task_id TEXT, body BLOB NOT NULL, tries INTEGER NOT NULL, next_at INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX outbox_due ON outbox (next_at);
  CREATE TABLE counter (name TEXT NOT NULL, labels TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (name, labels)) WITHOUT ROWID;
  `,
  'ALTER TABLE outbox ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;',
  // Rows of a kilobyte, in the order of random ids, made every write touch a page of its own, and every index carry the whole id.
  `
  CREATE TABLE task_by_age (
    n INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL UNIQUE,
    trace_id TEXT NOT NULL,
    request_key TEXT,
    parent TEXT,
    depth INTEGER NOT NULL,
    state TEXT NOT NULL,
    owner TEXT,
    other_owner TEXT,
    route TEXT,
    spawned_at INTEGER NOT NULL,
    settled_at INTEGER,
    row TEXT NOT NULL
  );
  INSERT INTO task_by_age (task_id, trace_id, request_key, parent, depth, state, owner, other_owner, route, spawned_at, settled_at, row)
    SELECT task_id, trace_id, request_key, parent, depth, state, owner, other_owner, route, spawned_at, settled_at, row FROM task ORDER BY spawned_at;
  DROP TABLE task;
  ALTER TABLE task_by_age RENAME TO task;
  CREATE INDEX task_trace ON task (trace_id);
  CREATE INDEX task_request ON task (request_key) WHERE request_key IS NOT NULL;
  CREATE INDEX task_owner ON task (owner) WHERE owner IS NOT NULL;
  CREATE INDEX task_other_owner ON task (other_owner) WHERE other_owner IS NOT NULL;
  CREATE INDEX task_orphan ON task (parent) WHERE parent IS NOT NULL AND request_key IS NULL;
  CREATE INDEX task_bad ON task (spawned_at) WHERE state IN ('failed', 'lost');
  CREATE INDEX task_open ON task (state) WHERE state IN ('pending', 'enqueued', 'running', 'retrying');
  CREATE INDEX task_spawned ON task (spawned_at);
  CREATE TABLE request_by_age (n INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, row TEXT NOT NULL);
  INSERT INTO request_by_age (key, at, row) SELECT key, at, row FROM request ORDER BY at;
  DROP TABLE request;
  ALTER TABLE request_by_age RENAME TO request;
  CREATE INDEX request_at ON request (at);
  `,
  // A task's id begins with the trace in which it was promised, which is that of its request nearly always: one index will do for both.
  `
  DROP INDEX task_trace;
  CREATE INDEX task_elsewhere ON task (trace_id) WHERE trace_id <> substr(task_id, 1, 32);
  `,
  // Attempts whose message carried no context are found by its id.
  `
  ALTER TABLE task ADD COLUMN message TEXT;
  CREATE INDEX task_message ON task (message) WHERE message IS NOT NULL;
  CREATE TABLE joined (stray TEXT PRIMARY KEY, task_id TEXT NOT NULL) WITHOUT ROWID;
  `,
  // Each state by age: what is asked for, what is counted and what is to be removed is then read, and nothing beside it. A task without
  // a route of its own has that of its request.
  `
  DROP INDEX task_spawned;
  DROP INDEX task_bad;
  DROP INDEX task_open;
  UPDATE task SET route = (SELECT row ->> '$.answered.route' FROM request WHERE key = request_key) WHERE route IS NULL AND request_key IS NOT NULL;
  CREATE INDEX task_state ON task (state, spawned_at);
  CREATE INDEX task_route ON task (route, state, spawned_at) WHERE route IS NOT NULL;
  CREATE INDEX joined_task ON joined (task_id);
  `,
  // The middle of a key is a third of it, and tells as well whose it is: the end of the trace, and the beginning of the request's span.
  // From here on a row is a text of its own (task-text.ts), which earlier versions cannot read.
  `
  DROP INDEX task_request;
  CREATE INDEX task_request ON task (substr(request_key, 25, 16)) WHERE request_key IS NOT NULL;
  `,
]
