-- Every message that was asked for, and what became of it. A row is open (queued, calling) until it is final; receipts move final ones forward.
CREATE TABLE deliveries (
    message_id      uuid        PRIMARY KEY,
    seq             bigint      GENERATED ALWAYS AS IDENTITY,   -- the order in which they were asked for: kept for each contact
    tenant          text        NOT NULL,
    contact_id      uuid        NOT NULL,
    lane            text        NOT NULL,                       -- the account that it leaves through; '' where there is no way
    channel         text        NOT NULL,
    address         text        NOT NULL,
    purpose         text        NOT NULL,
    notice          text,                                       -- the legally required answer that passes a revoked consent
    campaign        text,
    variant         text,
    flow            text,
    step            text,
    conversation_id uuid,
    content         jsonb       NOT NULL,                       -- as it leaves: tracked links are in it
    segments        integer     NOT NULL,                       -- in the provider's unit
    status          text        NOT NULL,
    reason          text,
    due_at          timestamptz NOT NULL,                       -- not before; after a failure the next try
    expires_at      timestamptz,
    attempt         integer     NOT NULL DEFAULT 0,             -- calls so far, the one under way among them
    failures        integer     NOT NULL DEFAULT 0,             -- those that count against the schedule
    parts           integer     NOT NULL DEFAULT 1,             -- requests that the message takes
    parts_done      integer     NOT NULL DEFAULT 0,             -- and those that the provider has
    fence           bigint,                                     -- the lane's fence at the last claim
    called_at       timestamptz,
    provider_id     text,
    requested_at    timestamptz NOT NULL,
    started_at      timestamptz,                                -- when the outermost cause reached Parley
    changed_at      timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
-- What a lane takes next, by purpose; what is under way; what is open of a contact; whose receipt this is, by id or, where a channel tells only
-- up to when somebody has read, by address.
CREATE INDEX deliveries_due ON deliveries (lane, purpose, due_at, seq) WHERE status = 'queued';
CREATE INDEX deliveries_calling ON deliveries (lane) WHERE status = 'calling';
CREATE INDEX deliveries_open ON deliveries (contact_id, lane, purpose, seq) WHERE status IN ('queued', 'calling');
CREATE INDEX deliveries_unread ON deliveries (lane, address) WHERE status IN ('sent', 'delivered') AND channel IN ('messenger', 'instagram', 'inapp');
CREATE INDEX deliveries_by_provider ON deliveries (lane, provider_id) WHERE provider_id IS NOT NULL;

-- Every call that was made, with what came of it.
CREATE TABLE attempts (
    message_id  uuid        NOT NULL,
    attempt     integer     NOT NULL,
    fence       bigint      NOT NULL,
    called_at   timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL,
    outcome     text        NOT NULL,       -- accepted, permanent, transient, throttled, opted_out, unknown
    code        text,
    reason      text,
    provider_id text,
    PRIMARY KEY (message_id, attempt)
);

-- What a contact said last about one purpose on one channel. `recorded_at`: when sender knew.
CREATE TABLE consents (
    contact_id  uuid        NOT NULL,
    channel     text        NOT NULL,
    purpose     text        NOT NULL,
    state       text        NOT NULL,
    at          timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (contact_id, channel, purpose)
);

-- Addresses to which nothing leaves any more, whoever asks: a token that is gone, a mailbox that is not there.
CREATE TABLE suppressions (
    tenant     text        NOT NULL,
    channel    text        NOT NULL,
    address    text        NOT NULL,
    reason     text        NOT NULL,
    since      timestamptz NOT NULL,
    PRIMARY KEY (tenant, channel, address)
);

-- Receipts whose message is not known yet, by the provider's id: the answer to our call may come after them.
CREATE TABLE parked (
    lane        text        NOT NULL,
    provider_id text        NOT NULL,
    status      text        NOT NULL,
    code        text,
    at          timestamptz NOT NULL,
    parked_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (lane, provider_id, status)
);

-- Who drives a lane. `fence` grows with every takeover, `turn` with every transaction of the lane: both are compared before they move.
-- `pending` holds the events of the last turn until they are known to be on the bus, as a stage's cursor does.
CREATE TABLE lanes (
    lane     text        PRIMARY KEY,
    fence    bigint      NOT NULL DEFAULT 0,
    turn     bigint      NOT NULL DEFAULT 0,
    pending  bytea       NOT NULL DEFAULT '',
    moved_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
ALTER TABLE lanes ALTER COLUMN pending SET STORAGE EXTERNAL;
