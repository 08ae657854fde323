-- What was asked over HTTP under an `Idempotency-Key`, and what was answered: a repeat gets the same. Dropped by age (`idempotency.KEPT`).
CREATE TABLE requests (
    tenant   text        NOT NULL,
    key      text        NOT NULL,
    digest   bytea       NOT NULL,      -- of route and body: the same key with another body is a mistake of the caller
    status   smallint    NOT NULL,
    answer   bytea       NOT NULL,
    location text,
    asked_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX requests_by_age ON requests (asked_at);

-- Events that a committed request has for the bus, until they are there: what the lanes' `pending` and a stage's cursor are for lanes and stages.
CREATE TABLE outbox (
    seq     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    records bytea       NOT NULL,
    at      timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE outbox ALTER COLUMN records SET STORAGE EXTERNAL;   -- they are compressed already
