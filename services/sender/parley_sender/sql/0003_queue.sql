-- The queue apart from the history: what is open stands here in a narrow row, so that what it costs to take the next message does not grow with
-- what waits behind it, nor with what was sent before.

-- A lane's lines: one for each purpose, tenant and campaign. `part` is the lane, or one of its shares (`name#2`) where a lane is driven by several replicas.
CREATE TABLE lines (
    line     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    part     text    NOT NULL,
    purpose  text    NOT NULL,
    tenant   text    NOT NULL,
    campaign text    NOT NULL,       -- '' for none
    UNIQUE (part, purpose, tenant, campaign)
);

-- Places in lines grow by the order in which messages come to stand in them.
CREATE SEQUENCE places;

-- What keeps its order: of one contact everything of a channel and purpose, but that campaigns do not wait for each other.
CREATE FUNCTION chain_of(channel text, purpose text, campaign text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN hashtext(channel || ':' || purpose || CASE WHEN purpose = 'marketing' THEN ':' || coalesce(campaign, '') ELSE '' END);

-- An open message. ready: it stands in its line; timed: it comes to stand there at due_at; behind: an earlier one of its chain is open;
-- calling: its attempt is committed, and a call is under way, or was when its process ended.
CREATE TABLE queue (
    message_id uuid        PRIMARY KEY,
    line       integer     NOT NULL,
    state      text        NOT NULL CHECK (state IN ('ready', 'timed', 'behind', 'calling')),
    place      bigint      NOT NULL,
    contact_id uuid        NOT NULL,
    chain      integer     NOT NULL,                -- of one contact one chain, one order, one call at a time
    seq        bigint      NOT NULL,                -- the order in which they were asked for
    units      integer     NOT NULL,                -- in the provider's unit
    due_at     timestamptz NOT NULL,
    attempt    integer     NOT NULL DEFAULT 0,      -- calls so far, the one under way among them
    failures   integer     NOT NULL DEFAULT 0,      -- those that count against the schedule
    parts_done integer     NOT NULL DEFAULT 0,      -- requests of the message that the provider has
    doubt      boolean     NOT NULL DEFAULT false,  -- a call was made of which nobody knows what came of it
    reserved   timestamptz,                         -- the slot that it holds under the frequency caps
    fence      bigint,                              -- the lane's fence at the last claim
    called_at  timestamptz
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX queue_ready ON queue (line, place) WHERE state = 'ready';
CREATE INDEX queue_timed ON queue (due_at, seq) WHERE state = 'timed';
CREATE INDEX queue_calling ON queue (line) WHERE state = 'calling';
CREATE INDEX queue_behind ON queue (contact_id, chain) WHERE state = 'behind';
CREATE INDEX queue_chain ON queue (contact_id, chain, seq);

INSERT INTO lines (part, purpose, tenant, campaign)
    SELECT DISTINCT lane, purpose, tenant, coalesce(campaign, '') FROM deliveries WHERE status IN ('queued', 'calling');
INSERT INTO queue (message_id, line, state, place, contact_id, chain, seq, units, due_at, attempt, failures, parts_done, doubt, fence, called_at)
    SELECT d.message_id, l.line,
           CASE WHEN d.status = 'calling' THEN 'calling' WHEN before.seq IS NOT NULL THEN 'behind' WHEN d.due_at > now() THEN 'timed' ELSE 'ready' END,
           nextval('places'), d.contact_id, chain_of(d.channel, d.purpose, d.campaign), d.seq, d.segments, d.due_at, d.attempt, d.failures,
           d.parts_done, d.attempt > (SELECT count(*) FROM attempts a WHERE a.message_id = d.message_id AND a.outcome <> 'unknown'), d.fence, d.called_at
    FROM (SELECT * FROM deliveries WHERE status IN ('queued', 'calling') ORDER BY due_at, seq) d
    JOIN lines l ON (l.part, l.purpose, l.tenant, l.campaign) = (d.lane, d.purpose, d.tenant, coalesce(d.campaign, ''))
    LEFT JOIN LATERAL (SELECT o.seq FROM deliveries o WHERE o.contact_id = d.contact_id AND o.channel = d.channel AND o.purpose = d.purpose
                       AND (d.purpose <> 'marketing' OR o.campaign IS NOT DISTINCT FROM d.campaign) AND o.seq < d.seq AND o.status IN ('queued', 'calling') LIMIT 1) before ON true;

DROP INDEX deliveries_due, deliveries_calling, deliveries_open;
UPDATE deliveries SET status = 'queued' WHERE status = 'calling';
ALTER TABLE deliveries
    DROP COLUMN fence,
    ADD COLUMN timezone       text,                 -- the contact's, where the profile tells it
    ADD COLUMN priority       integer NOT NULL DEFAULT 0,
    ADD COLUMN fallback_after integer,              -- seconds after which, not delivered, it is told over the next channel
    ADD COLUMN instead_of     uuid,                 -- the message that it is told in place of
    ADD COLUMN price          numeric,              -- what the provider says it takes
    ADD COLUMN currency       text,
    ADD COLUMN told_segments  integer;              -- and how many segments it counted
COMMENT ON COLUMN deliveries.called_at IS 'when the last call of the message began, once that call is over';
-- What a lane sent lately, where a limit counts by more than seconds.
CREATE INDEX deliveries_called ON deliveries USING brin (called_at);

-- What stood at the gate when the call was let through.
ALTER TABLE attempts ADD COLUMN gate jsonb;

-- Consents say whose address they speak of: a refusal holds for the address, under whichever contact it is known.
ALTER TABLE consents ADD COLUMN tenant text, ADD COLUMN address text, ADD COLUMN at_night boolean NOT NULL DEFAULT false;
CREATE INDEX consents_of_address ON consents (tenant, channel, address, purpose) WHERE address IS NOT NULL;

-- Where nothing leaves to any more: by an account, for a tenant ('' for the account: all of its accounts), or at all ('' for both).
ALTER TABLE suppressions DROP CONSTRAINT suppressions_pkey, ADD COLUMN account text NOT NULL DEFAULT '', ADD COLUMN note text;
ALTER TABLE suppressions ADD PRIMARY KEY (address, channel, tenant, account);

-- When each person was last sent to under frequency caps, by purpose, whatever the channel and campaign: the newest few, oldest first.
CREATE TABLE touches (
    contact_id uuid          NOT NULL,
    purpose    text          NOT NULL,
    times      timestamptz[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (contact_id, purpose)
) WITH (fillfactor = 80);

-- When a customer last wrote to an account: providers take free text only for a while afterwards.
CREATE TABLE windows (
    lane    text        NOT NULL,
    address text        NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (lane, address)
) WITH (fillfactor = 80);

-- What people set for a lane while it runs, and how its provider does.
ALTER TABLE lanes
    ADD COLUMN paused_by    text,                   -- who paused it; NULL: it runs
    ADD COLUMN paused_at    timestamptz,
    ADD COLUMN rate         text,                   -- instead of the one in accounts.yaml, as there: 10/s
    ADD COLUMN broken_until timestamptz;            -- its circuit is open: nothing but a trial leaves before

-- What became of a message beside its attempts: held, by what; moved to another account; settled by a person.
CREATE TABLE notes (
    message_id uuid        NOT NULL,
    at         timestamptz NOT NULL,
    what       text        NOT NULL,
    detail     jsonb       NOT NULL DEFAULT '{}'
);
CREATE INDEX notes_of_message ON notes (message_id, at);
