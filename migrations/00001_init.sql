-- +goose Up

-- Every table carries tenant_id. Ids of instances' content (chats, messages,
-- identities, first persons) are derived UUIDv8, so writers can upsert without
-- asking first. The hot tables have no foreign keys: rows arrive from a log
-- that is itself the truth, in batches sorted by key, and a missing parent
-- must never lose a message.

CREATE TABLE instances (
    id                uuid PRIMARY KEY,
    tenant_id         text NOT NULL,
    name              text NOT NULL,
    channel           text NOT NULL,
    settings          jsonb NOT NULL,              -- omni.InstanceSettings
    channel_config    jsonb NOT NULL DEFAULT '{}', -- without secret fields
    secrets           bytea,                       -- AES-256-GCM over omni secrets JSON
    status            text NOT NULL DEFAULT 'connecting',
    status_reason     text NOT NULL DEFAULT '',
    last_connected_at timestamptz,
    disabled          boolean NOT NULL DEFAULT false,
    version           bigint NOT NULL DEFAULT 1,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    deleted_at        timestamptz
);
CREATE INDEX instances_tenant ON instances (tenant_id, created_at DESC, id DESC);

-- What a channel keeps between runs: poll offsets, cursors.
CREATE TABLE channel_kv (
    tenant_id   text NOT NULL,
    instance_id uuid NOT NULL,
    key         text NOT NULL,
    value       bytea NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (instance_id, key)
);

CREATE TABLE persons (
    id           uuid PRIMARY KEY,
    tenant_id    text NOT NULL,
    display_name text NOT NULL DEFAULT '',
    phone        text NOT NULL DEFAULT '',
    email        text NOT NULL DEFAULT '',
    notes        text NOT NULL DEFAULT '',
    labels       text[] NOT NULL DEFAULT '{}',
    preferred_identity_id uuid,                    -- the account they are written to
    session_epoch int NOT NULL DEFAULT 0,          -- grows with every reset in a chat with them
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE identities (
    id               uuid PRIMARY KEY,
    tenant_id        text NOT NULL,
    instance_id      uuid NOT NULL,
    channel          text NOT NULL,
    platform_user_id text NOT NULL,
    person_id        uuid NOT NULL,
    name             text NOT NULL DEFAULT '',
    username         text NOT NULL DEFAULT '',
    phone            text NOT NULL DEFAULT '',
    email            text NOT NULL DEFAULT '',
    is_bot           boolean NOT NULL DEFAULT false,
    pinned           boolean NOT NULL DEFAULT false, -- somebody decided whose it is: evidence does not move it
    first_seen_at    timestamptz NOT NULL DEFAULT now(),
    last_seen_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (instance_id, platform_user_id)
);
CREATE INDEX identities_person ON identities (person_id);

-- The row that is locked (FOR NO KEY UPDATE) for every decision about a chat.
CREATE TABLE chats (
    id              uuid PRIMARY KEY,
    tenant_id       text NOT NULL,
    instance_id     uuid NOT NULL,
    channel         text NOT NULL,
    external_id     text NOT NULL,
    type            text NOT NULL DEFAULT 'dm',
    name            text NOT NULL DEFAULT '',
    person_id       uuid,                          -- who a DM is with: the person of identity_id
    identity_id     uuid,
    paused          boolean NOT NULL DEFAULT false,
    paused_until    timestamptz,                   -- NULL while paused: until resumed
    session_epoch   int NOT NULL DEFAULT 0,        -- grows with every reset
    session_started_at timestamptz,                -- of the last reset; NULL: there was none
    delivering      uuid,                          -- turn or outbound message whose parts go out now
    delivering_until timestamptz,
    bot_turns       int NOT NULL DEFAULT 0,        -- turns that bots began since a person wrote
    bot_turn_at     timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (instance_id, external_id)
) WITH (fillfactor = 80);
CREATE INDEX chats_recent ON chats (tenant_id, created_at DESC, id DESC);

-- Inbound and outbound. An outbound row is also the part of a reply: the
-- columns under "delivery" are state, the rest is derived from the log.
CREATE TABLE messages (
    id            uuid PRIMARY KEY,
    tenant_id     text NOT NULL,
    instance_id   uuid NOT NULL,
    channel       text NOT NULL,
    chat_id       uuid NOT NULL,
    person_id     uuid,                            -- the person of identity_id, and moves with it
    identity_id   uuid,                            -- who wrote it; outbound: whom it answers
    direction     text NOT NULL,
    kind          text NOT NULL DEFAULT 'message',
    external_id   text NOT NULL DEFAULT '',        -- the platform's own id
    external_key  text NOT NULL DEFAULT '',        -- <kind>/<platform event id>/<revision>
    content       jsonb NOT NULL,                  -- message.Content
    text          text NOT NULL DEFAULT '',
    status        text NOT NULL,
    status_reason text NOT NULL DEFAULT '',
    sender_name   text NOT NULL DEFAULT '',
    sender_platform_id text NOT NULL DEFAULT '',
    from_me       boolean NOT NULL DEFAULT false,
    facts         jsonb NOT NULL DEFAULT '{}',     -- omni.MessageFacts: mentions, reply-to-me, chat type, backfill
    reply_to      uuid,
    reply_to_external text NOT NULL DEFAULT '',
    access_decision text,
    access_rule_id  uuid,
    access_reason text NOT NULL DEFAULT '',
    seq           bigint NOT NULL DEFAULT 0,       -- stream sequence: the order of the chat
    turn_id       uuid,
    correlation_id uuid,                           -- outbound: the inbound message that began it
    traceparent   text NOT NULL DEFAULT '',
    -- delivery
    part_index    int NOT NULL DEFAULT 0,
    part_count    int NOT NULL DEFAULT 0,
    epoch         int NOT NULL DEFAULT 0,          -- of the turn, when the part was claimed
    attempts      int NOT NULL DEFAULT 0,
    error         text NOT NULL DEFAULT '',
    send_at       timestamptz,                     -- scheduled sends
    sent_at       timestamptz,                     -- inbound: the platform's time; outbound: the receipt's
    edited_at     timestamptz,
    deleted_at    timestamptz,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    withheld_at   timestamptz,                     -- the last time that an earlier part of its message kept it back
    -- For an index: one that looks at the status itself would make every change
    -- of it a new entry in all indexes of the table.
    untaken       boolean GENERATED ALWAYS AS (
                      direction = 'inbound' AND turn_id IS NULL AND status IN ('received', 'processing')) STORED
) WITH (fillfactor = 80);
CREATE INDEX messages_recent   ON messages (tenant_id, created_at DESC, id DESC);
CREATE INDEX messages_chat     ON messages (chat_id, created_at DESC, id DESC);
CREATE INDEX messages_turn     ON messages (turn_id, part_index) WHERE turn_id IS NOT NULL;
-- What no workflow has taken up yet: turn.Sweep looks for the old ones.
CREATE INDEX messages_untaken  ON messages (created_at) WHERE untaken;
CREATE INDEX messages_external ON messages (instance_id, external_id) WHERE direction = 'outbound' AND external_id <> '';

CREATE TABLE turns (
    id           uuid PRIMARY KEY,
    tenant_id    text NOT NULL,
    instance_id  uuid NOT NULL,
    channel      text NOT NULL,
    chat_id      uuid NOT NULL,
    session_key  text NOT NULL,
    agent        text NOT NULL,                    -- which agent answers ("instance" or a route's)
    state        text NOT NULL,                    -- collecting answering answered failed cancelled expired reopened
    leader       uuid NOT NULL,                    -- message id
    workflow_id  text NOT NULL,                    -- who holds it now
    epoch        int NOT NULL DEFAULT 1,
    due_at       timestamptz NOT NULL,             -- past it, the turn is suspect
    first_at     timestamptz NOT NULL,             -- first message collected
    last_at      timestamptz NOT NULL,             -- last message collected
    last_seq     bigint NOT NULL DEFAULT 0,
    quiet_for    interval NOT NULL DEFAULT '0',    -- debounce of this turn, drawn when it began
    quiet_at     timestamptz NOT NULL,             -- debounce: closes no earlier
    latest_at    timestamptz,                      -- the cap: neither messages nor typing put it off longer
    media_pending uuid[] NOT NULL DEFAULT '{}',    -- collected messages whose media is being processed
    media_until  timestamptz,                      -- and how long that is waited for
    closed_at    timestamptz,
    answer       text,                             -- what the agent said, before splitting
    part_count   int,
    agent_ms     int,
    deliver_ms   int,
    error        text NOT NULL DEFAULT '',
    outcome      text NOT NULL DEFAULT '',
    sender       text,                             -- one sender per turn
    sender_until timestamptz,
    wake_workflow text NOT NULL DEFAULT '',        -- the leader that waits behind
    asked_at     timestamptz,                      -- an agent that may answer later was asked
    reply_until  timestamptz,                      -- until when its answer is taken
    awaiting     boolean NOT NULL DEFAULT false,   -- it said that it would answer later
    reply_hash   bytea,                            -- of the answer that came by a call of its own
    follows      uuid,                             -- a follow-up: the turn that it follows
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at  timestamptz                       -- NULL: open (collecting, answering or reopened)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX turns_collecting ON turns (chat_id, session_key, agent) WHERE state = 'collecting';
CREATE UNIQUE INDEX turns_answering  ON turns (chat_id) WHERE state = 'answering';
-- An index that said state IN (…) would serve every statement that names a
-- state: the planner, who counted the open ones at a quiet moment, takes it for
-- empty and prefers it to the right one. For the same reason only what is about
-- all open turns says finished_at IS NULL.
CREATE INDEX turns_due    ON turns (due_at) WHERE finished_at IS NULL;
CREATE INDEX turns_recent ON turns (instance_id, created_at DESC);
CREATE INDEX turns_chat   ON turns (chat_id, created_at DESC);
-- The history of an agent session that is a person's, not a chat's.
CREATE INDEX turns_session ON turns (session_key, created_at DESC) WHERE session_key LIKE '%person:%';

-- POST /messages: what was asked under a key, for 24 h.
CREATE TABLE idempotency_keys (
    tenant_id  text NOT NULL,
    key_hash   bytea NOT NULL,
    body_hash  bytea NOT NULL,
    message_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,                        -- NULL: accepted, its workflow not known to exist yet
    PRIMARY KEY (tenant_id, key_hash)
);
CREATE INDEX idempotency_keys_unstarted ON idempotency_keys (message_id) WHERE started_at IS NULL;
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

CREATE TABLE dead_letters (
    id          uuid PRIMARY KEY,
    tenant_id   text NOT NULL,
    instance_id uuid,
    chat_id     uuid,
    message_id  uuid,
    turn_id     uuid,
    step        text NOT NULL,
    error       text NOT NULL,
    attempts    int NOT NULL DEFAULT 1,
    input       jsonb NOT NULL,
    status      text NOT NULL DEFAULT 'open',
    created_at  timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz
);
CREATE INDEX dead_letters_recent ON dead_letters (tenant_id, created_at DESC, id DESC);

CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    tenant_id    text NOT NULL,
    name         text NOT NULL,
    prefix       text NOT NULL,
    hash         bytea NOT NULL UNIQUE,            -- SHA-256 of the key
    scopes       text[] NOT NULL,
    instance_ids uuid[],
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now()
);

-- The recorder's floor: every event of the stream up to here is recorded.
CREATE TABLE ingest_floor (
    stream text PRIMARY KEY,
    floor  bigint NOT NULL
);

-- Where the relay stands in the log.
CREATE TABLE relay_cursor (
    name text PRIMARY KEY,
    xid  text NOT NULL DEFAULT '0',
    seq  bigint NOT NULL DEFAULT 0
);

-- The log. Append only (a trigger says so), partitioned by month. Position is
-- (xid, seq): see omni.Position.
CREATE TABLE events (
    seq            bigint GENERATED ALWAYS AS IDENTITY,
    xid            xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id             uuid NOT NULL,
    tenant_id      text NOT NULL,
    type           text NOT NULL,
    time           timestamptz NOT NULL DEFAULT clock_timestamp(),
    subject        text NOT NULL DEFAULT '',
    instance_id    uuid NOT NULL,
    channel        text NOT NULL,
    chat_id        uuid,
    person_id      uuid,
    correlation_id uuid,
    causation_id   uuid,
    traceparent    text NOT NULL DEFAULT '',
    dataversion    int NOT NULL DEFAULT 1,
    data           jsonb NOT NULL
) PARTITION BY RANGE (time);
CREATE INDEX events_position    ON events (xid, seq);
CREATE INDEX events_id          ON events (id);
CREATE INDEX events_correlation ON events (correlation_id);
CREATE INDEX events_chat        ON events (chat_id);
-- Nothing is lost for want of a partition.
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- +goose StatementBegin
CREATE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events is append only';
END $$;
-- +goose StatementEnd
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION events_append_only();

-- Makes the partitions of this month and the next ones; called at start and daily.
-- +goose StatementBegin
CREATE FUNCTION events_ensure_partitions(months int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first date := date_trunc('month', now() AT TIME ZONE 'UTC')::date;
    part  text;
BEGIN
    FOR i IN 0..months LOOP
        part := 'events_' || to_char(first + make_interval(months => i), 'YYYY_MM');
        IF to_regclass(part) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)', part,
                (first + make_interval(months => i))::timestamp AT TIME ZONE 'UTC',
                (first + make_interval(months => i + 1))::timestamp AT TIME ZONE 'UTC');
        END IF;
    END LOOP;
END $$;
-- +goose StatementEnd
SELECT events_ensure_partitions(2);

-- RFC 9562 version 7: milliseconds since 1970, then random bits.
-- +goose StatementBegin
CREATE FUNCTION uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT encode(
        set_bit(set_bit(
            overlay(uuid_send(gen_random_uuid())
                    PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                    FROM 1 FOR 6),
            52, 1), 53, 1), 'hex')::uuid
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE events, relay_cursor, ingest_floor, api_keys, dead_letters, idempotency_keys, turns, messages, chats,
    identities, persons, channel_kv, instances;
DROP FUNCTION events_append_only(), events_ensure_partitions(int), uuid_v7();
