-- What contacts wait for, derived from their states and written in the same transaction: a row is here while a state holds its token.
-- A timer is published when it is due; whoever waits a year costs one row and no memory.
CREATE TABLE timers (
    contact_id uuid        NOT NULL,
    token      text        NOT NULL,
    tenant     text        NOT NULL,
    due_at     timestamptz NOT NULL,
    PRIMARY KEY (contact_id, token)
);
CREATE INDEX timers_by_due ON timers (due_at);

-- What is to be asked outside. `service`: whom, in the words of tenant/name, or the kind of question. `attempt`: the calls that were begun; `asked_at`:
-- when the one that has not ended began (who finds it still there after its time knows that nobody can tell any more how it ended).
CREATE TABLE calls (
    contact_id uuid        NOT NULL,
    token      text        NOT NULL,
    tenant     text        NOT NULL,
    service    text        NOT NULL,
    wanted     jsonb       NOT NULL,
    attempt    integer     NOT NULL DEFAULT 0,
    asked_at   timestamptz,
    due_at     timestamptz NOT NULL,
    PRIMARY KEY (contact_id, token)
);
CREATE INDEX calls_by_due ON calls (service, due_at);

-- How many contacts are on their way through each version of each flow, kept by differences. Each process has a row of its own (`writer`), so that
-- batches do not wait for each other; the sum over them is the number.
CREATE TABLE flow_runs (
    tenant  text    NOT NULL,
    flow    text    NOT NULL,
    version integer NOT NULL,
    writer  integer NOT NULL,
    waiting bigint  NOT NULL,
    PRIMARY KEY (tenant, flow, version, writer)
) WITH (fillfactor = 50);
