-- Web chat. A visitor's counter numbers everything that changes in their conversation: whoever has seen up to a number asks for what is above it.
CREATE TABLE chat_visitors (
    account  text        NOT NULL,
    visitor  uuid        NOT NULL,
    customer text,
    version  bigint      NOT NULL DEFAULT 0,
    seen_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, visitor)
);
CREATE UNIQUE INDEX chat_visitors_of_customer ON chat_visitors (account, customer) WHERE customer IS NOT NULL;
CREATE INDEX chat_visitors_by_age ON chat_visitors (seen_at);

-- What was said. `seq` is the place in the conversation, `version` the counter at the last change (a mark moves it). Ids must be unique whenever they
-- came, so rows are deleted by age and not dropped with a part of the table, as those of `seen` are.
CREATE TABLE chat_messages (
    account text        NOT NULL,
    visitor uuid        NOT NULL,
    id      uuid        NOT NULL,
    seq     bigint      NOT NULL,
    version bigint      NOT NULL,
    ours    boolean     NOT NULL,
    status  text        NOT NULL,
    text    text        NOT NULL,
    choice  text,
    choices jsonb       NOT NULL DEFAULT '[]',
    media   jsonb       NOT NULL DEFAULT '[]',
    at      timestamptz NOT NULL,
    PRIMARY KEY (account, visitor, id)
);
CREATE INDEX chat_messages_by_change ON chat_messages (account, visitor, version);
CREATE INDEX chat_messages_by_age ON chat_messages (at);
