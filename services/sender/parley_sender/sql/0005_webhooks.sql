-- Where a tenant's own systems want to hear of what happens. No secret stands here: each is made from PARLEY_SECRET, the id and `generation`.
CREATE TABLE webhooks (
    id              uuid        PRIMARY KEY,
    tenant          text        NOT NULL,
    url             text        NOT NULL,
    types           text[]      NOT NULL,               -- delivery.failed, or delivery.* for all of a family
    description     text        NOT NULL,
    generation      integer     NOT NULL DEFAULT 1,     -- of the secret; grows with each rotation
    previous_until  timestamptz,                        -- till then the secret before it signs beside it
    failing_since   timestamptz,                        -- since its last success, or its first failure ever
    paused_until    timestamptz,                        -- it asked for that, by Retry-After
    disabled_at     timestamptz,
    disabled_reason text,                               -- asked, gone (it answered 410), failing (for days)
    created_at      timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX webhooks_of_tenant ON webhooks (tenant);

-- What each of them is to be told, and what came of it: once for an event. Rows of a webhook that is gone are dropped with their time.
CREATE TABLE webhook_posts (
    webhook_id   uuid        NOT NULL,
    event_id     text        NOT NULL,                  -- the webhook-id of every try
    type         text        NOT NULL,
    body         text        NOT NULL,                  -- byte for byte as it is signed
    personal     uuid,                                  -- the contact, where the body says more of them than an id: goes with them
    state        text        NOT NULL DEFAULT 'due',    -- due, sent, failed
    due_at       timestamptz NOT NULL,                  -- while a call is under way, the end of its lease
    leased_until timestamptz,
    attempt      integer     NOT NULL DEFAULT 0,        -- calls so far; the fence of the one under way
    tries        integer     NOT NULL DEFAULT 0,        -- those that count against the schedule: from 0 again when it is to be sent again
    answers      jsonb       NOT NULL DEFAULT '[]',     -- the last twelve
    noted_at     timestamptz NOT NULL,
    PRIMARY KEY (webhook_id, event_id)
) WITH (fillfactor = 80);
-- What is due at each; its list, the newest first; what failed or still may; what goes with a person; what is old.
CREATE INDEX webhook_posts_due ON webhook_posts (webhook_id, due_at) WHERE state = 'due';
CREATE INDEX webhook_posts_listed ON webhook_posts (webhook_id, noted_at, event_id);
CREATE INDEX webhook_posts_open ON webhook_posts (webhook_id, noted_at) WHERE state <> 'sent';
CREATE INDEX webhook_posts_personal ON webhook_posts (personal) WHERE personal IS NOT NULL;
CREATE INDEX webhook_posts_old ON webhook_posts USING brin (noted_at) WITH (autosummarize = on);
