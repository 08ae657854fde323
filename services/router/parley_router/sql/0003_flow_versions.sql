-- Every version of every flow that was ever in force, as it stood in its file: what began on it goes on with it, also when the file is gone or broken.
-- `digest`: of what the file says, comments apart. `retired_to`: the version that runs move to (null: they end). `change` grows with each change of the
-- table, in the order of their commits: by its maximum a replica knows whether there is something to read.
CREATE TABLE flow_versions (
    tenant       text        NOT NULL,
    flow         text        NOT NULL,
    version      integer     NOT NULL,
    file         text        NOT NULL,
    digest       text        NOT NULL,
    source       text        NOT NULL,
    published_at timestamptz NOT NULL,
    retired_at   timestamptz,
    retired_to   integer,
    change       bigint      NOT NULL,
    PRIMARY KEY (tenant, flow, version)
);
CREATE INDEX flow_versions_by_change ON flow_versions (change);
