-- Up to when a tenant's facts are rolled up: what happened before is counted by day and has no rows any more.
CREATE TABLE retention (
    tenant text PRIMARY KEY,
    until  timestamptz NOT NULL
);

-- Messages and conversations (their ids are unique together) without a row any more: what is told of them now is late, and no new message or conversation.
CREATE TABLE rolled (
    message_id uuid PRIMARY KEY,
    at         timestamptz NOT NULL                  -- when the row went
);
CREATE INDEX rolled_by_age ON rolled (at);
