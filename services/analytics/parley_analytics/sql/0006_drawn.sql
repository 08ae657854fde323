-- Who came to which experiment and what they did then, whether or not anything was said to them; and the counters made from it.

-- An experiment as it was drawn: other weights, or another holdout, are another design. The id is made from all of it (uuid5).
CREATE TABLE designs (
    design_id     uuid PRIMARY KEY,
    experiment_id uuid  NOT NULL,                    -- of tenant, campaign and name
    tenant        text  NOT NULL,
    campaign      text  NOT NULL,
    experiment    text  NOT NULL,
    weights       jsonb NOT NULL,
    holdout       text  NOT NULL                     -- '' is none
);
CREATE INDEX designs_of_campaign ON designs (tenant, campaign);

-- One row a person and experiment: the first draw that is known, of those at one time the least; and what followed, a function of it and of the facts.
CREATE TABLE drawn (
    experiment_id uuid        NOT NULL,
    contact_id    uuid        NOT NULL,
    design_id     uuid        NOT NULL,
    variant       text COLLATE "C" NOT NULL,
    at            timestamptz NOT NULL,
    opened        integer     NOT NULL,              -- 0 or 1: a message of the campaign that left afterwards
    clicked       integer     NOT NULL,
    replied       integer     NOT NULL,
    orders        integer     NOT NULL,              -- conversions within the tenant's window after the draw, owed to whatever
    spent         jsonb       NOT NULL,              -- their value by currency
    period    timestamptz GENERATED ALWAYS AS (date_bin('1 hour', at, '2000-01-01 00:00:00+00')),
    converted integer     GENERATED ALWAYS AS ((orders > 0)::integer),
    PRIMARY KEY (experiment_id, contact_id)
) WITH (fillfactor = 80);
CREATE INDEX drawn_of_contact ON drawn (contact_id);

-- The people of each variant, by the hour in which they were drawn.
CREATE TABLE arms (
    design_id uuid        NOT NULL,
    variant   text        NOT NULL,
    period    timestamptz NOT NULL,
    people    bigint NOT NULL,
    opened    bigint NOT NULL,
    clicked   bigint NOT NULL,
    replied   bigint NOT NULL,
    converted bigint NOT NULL,
    PRIMARY KEY (design_id, variant, period)
) WITH (fillfactor = 60);

-- How many of them spent something, how much all of them together, and the sum of the squares of what each one spent.
CREATE TABLE spending (
    design_id uuid    NOT NULL,
    variant   text    NOT NULL,
    currency  text    NOT NULL,
    people    bigint  NOT NULL,
    total     numeric NOT NULL,
    squares   numeric NOT NULL,
    PRIMARY KEY (design_id, variant, currency)
) WITH (fillfactor = 60);
