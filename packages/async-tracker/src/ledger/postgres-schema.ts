// Tables of the ledger for several hosts. Tasks are partitioned by the day on which they were first written: what is old goes by
// dropping a table. Text, not jsonb: what was written is what is read, and a ledger never looks into a row.

/** One step a version, as in schema.ts. `folder` is the ledger folder whose patrol wrote the row: a host, or a container. */
export const POSTGRES_MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE afterspan.turn (one boolean PRIMARY KEY);
  INSERT INTO afterspan.turn VALUES (true);
  CREATE TABLE afterspan.folder (folder text PRIMARY KEY, host text NOT NULL, seen_at timestamptz NOT NULL);
  CREATE TABLE afterspan.task (
    task_id text NOT NULL,
    day date NOT NULL,
    folder text NOT NULL,
    trace_id text NOT NULL,
    request_key text,
    parent text,
    depth integer NOT NULL,
    state text NOT NULL,
    owner text,
    other_owner text,
    route text,
    spawned_at double precision NOT NULL,
    settled_at double precision,
    row text NOT NULL,
    PRIMARY KEY (task_id, day)
  ) PARTITION BY RANGE (day);
  CREATE INDEX task_trace ON afterspan.task (trace_id);
  CREATE INDEX task_request ON afterspan.task (request_key) WHERE request_key IS NOT NULL;
  CREATE INDEX task_owner ON afterspan.task (owner) WHERE owner IS NOT NULL;
  CREATE INDEX task_other_owner ON afterspan.task (other_owner) WHERE other_owner IS NOT NULL;
  CREATE INDEX task_orphan ON afterspan.task (parent) WHERE parent IS NOT NULL AND request_key IS NULL;
  CREATE INDEX task_spawned ON afterspan.task (spawned_at);
  CREATE INDEX task_open ON afterspan.task (folder, state) WHERE state IN ('pending', 'enqueued', 'running', 'retrying');
  CREATE INDEX task_bad ON afterspan.task (spawned_at) WHERE state IN ('failed', 'lost');
  CREATE TABLE afterspan.request (
    key text PRIMARY KEY,
    trace_id text NOT NULL,
    route text,
    at double precision NOT NULL,
    row text NOT NULL
  );
  CREATE INDEX request_trace ON afterspan.request (trace_id);
  CREATE INDEX request_at ON afterspan.request (at);
  CREATE TABLE afterspan.process (
    key text PRIMARY KEY,
    folder text NOT NULL,
    dead_at double precision,
    row text NOT NULL
  );
  CREATE INDEX process_folder ON afterspan.process (folder);
  CREATE TABLE afterspan.segment (
    folder text NOT NULL,
    file text NOT NULL,
    read_to bigint NOT NULL,
    PRIMARY KEY (folder, file)
  );
  CREATE TABLE afterspan.outbox (
    span_id text PRIMARY KEY,
    folder text NOT NULL,
    task_id text,
    body bytea NOT NULL,
    tries integer NOT NULL,
    refusals integer NOT NULL,
    next_at double precision NOT NULL
  );
  CREATE INDEX outbox_due ON afterspan.outbox (folder, next_at);
  CREATE TABLE afterspan.counter (
    folder text NOT NULL,
    name text NOT NULL,
    labels text NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (folder, name, labels)
  );
  `,
  // Attempts whose message carried no context are found by its id.
  `
  ALTER TABLE afterspan.task ADD COLUMN message text;
  CREATE INDEX task_message ON afterspan.task (message) WHERE message IS NOT NULL;
  CREATE TABLE afterspan.joined (stray text PRIMARY KEY, task_id text NOT NULL);
  `,
  // What instances see of what they share: of the moment, so nothing that a crash of the server must keep.
  `
  CREATE UNLOGGED TABLE afterspan.vote (
    service text NOT NULL,
    instance text NOT NULL,
    view text NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (service, instance)
  );
  `,
  // As in schema.ts: each state by age, and the route of its request for a task without one of its own.
  `
  UPDATE afterspan.task t SET route = r.route FROM afterspan.request r WHERE t.request_key = r.key AND t.route IS NULL AND r.route IS NOT NULL;
  DROP INDEX afterspan.task_bad;
  CREATE INDEX task_state ON afterspan.task (state, spawned_at);
  CREATE INDEX task_route ON afterspan.task (route, state, spawned_at) WHERE route IS NOT NULL;
  CREATE INDEX joined_task ON afterspan.joined (task_id);
  `,
]

/** The table of one day's tasks. */
export function partitionOf(day: string): string {
  return `afterspan.task_${day.replaceAll('-', '')}`
}
