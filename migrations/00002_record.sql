-- +goose Up

-- Edits, deletes and receipts that were applied, so that a redelivered one is not.
CREATE TABLE applied_events (
    id         uuid PRIMARY KEY,   -- derived like a message id
    tenant_id  text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- What every pipeline event says about the step that wrote it.
-- +goose StatementBegin
CREATE FUNCTION step_data(p_step text, p_started timestamptz, p_attempt int) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT jsonb_build_object('step', p_step, 'startedAt', to_char(p_started AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'durationMs', round(extract(epoch FROM clock_timestamp() - p_started)::numeric * 1000, 3), 'attempts', p_attempt)
$$;
-- +goose StatementEnd

-- Records a batch of inbound messages (and reactions): identity, person, chat,
-- message and events, each written only by whoever inserts the row. The rows
-- come sorted by chat and key, so two recorders lock in the same order. With
-- the message its person is known, and, where access control is disabled, that
-- it is allowed; both are said in the log here, in one statement for the batch.
--
-- p is an array of objects with the fields named below; data is the data of
-- message.received, completed with personId and the step's figures. Returns
-- what was not recorded before.
-- +goose StatementBegin
CREATE FUNCTION record_messages(p jsonb) RETURNS TABLE (message_id uuid, person_id uuid) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    began timestamptz := clock_timestamp();
BEGIN
    -- A new account begins with a person of its own.
    WITH r AS (
        SELECT DISTINCT ON (x.identity_id) x.*
        FROM jsonb_to_recordset(p) AS x(identity_id uuid, first_person_id uuid, tenant_id text, instance_id uuid, channel text,
            chat_id uuid, message_id uuid, platform_user_id text, sender_name text, username text, phone text, email text,
            is_bot boolean, from_me boolean, traceparent text)
        WHERE x.identity_id IS NOT NULL AND NOT x.from_me
        ORDER BY x.identity_id
    ), fresh AS (
        INSERT INTO identities AS i (id, tenant_id, instance_id, channel, platform_user_id, person_id, name, username,
                                     phone, email, is_bot)
        SELECT identity_id, tenant_id, instance_id, channel, platform_user_id, first_person_id, sender_name, username,
               phone, email, is_bot
        FROM r
        ON CONFLICT (id) DO UPDATE SET
            name         = CASE WHEN excluded.name <> '' THEN excluded.name ELSE i.name END,
            username     = CASE WHEN excluded.username <> '' THEN excluded.username ELSE i.username END,
            last_seen_at = now()
            -- Most messages change nothing here; then nothing is written.
            WHERE excluded.name NOT IN ('', i.name) OR excluded.username NOT IN ('', i.username)
               OR i.last_seen_at < now() - interval '1 minute'
        RETURNING id, person_id, name, phone, email, (xmax = 0) AS inserted
    ), people AS (
        INSERT INTO persons (id, tenant_id, display_name, phone, email)
        SELECT f.person_id, r.tenant_id, f.name, f.phone, f.email
        FROM fresh f JOIN r ON r.identity_id = f.id
        WHERE f.inserted
        ON CONFLICT (id) DO NOTHING
    )
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, traceparent, data)
    SELECT uuid_v7(), r.tenant_id, 'identity.created', f.person_id::text, r.instance_id, r.channel, r.chat_id, f.person_id,
           r.message_id, r.traceparent,
           jsonb_build_object('personId', f.person_id, 'identityId', f.id, 'instanceId', r.instance_id,
                              'platformUserId', r.platform_user_id, 'displayName', f.name)
    FROM fresh f JOIN r ON r.identity_id = f.id
    WHERE f.inserted;

    INSERT INTO chats AS c (id, tenant_id, instance_id, channel, external_id, type, name, person_id, identity_id)
    SELECT DISTINCT ON (r.chat_id) r.chat_id, r.tenant_id, r.instance_id, r.channel, r.chat_external_id, r.chat_type,
           r.chat_name, CASE WHEN r.chat_type = 'dm' THEN i.person_id END, CASE WHEN r.chat_type = 'dm' THEN i.id END
    FROM jsonb_to_recordset(p) AS r(chat_id uuid, tenant_id text, instance_id uuid, channel text, chat_external_id text,
            chat_type text, chat_name text, identity_id uuid)
    LEFT JOIN identities i ON i.id = r.identity_id
    ORDER BY r.chat_id
    ON CONFLICT (id) DO UPDATE SET
        name       = CASE WHEN excluded.name <> '' THEN excluded.name ELSE c.name END,
        person_id  = CASE WHEN c.identity_id IS NULL THEN coalesce(excluded.person_id, c.person_id) ELSE c.person_id END,
        identity_id = coalesce(c.identity_id, excluded.identity_id),
        updated_at = now()
        WHERE excluded.name NOT IN ('', c.name) OR c.identity_id IS NULL AND excluded.identity_id IS NOT NULL;

    RETURN QUERY WITH r AS (
        SELECT *
        FROM jsonb_to_recordset(p) AS x(message_id uuid, tenant_id text, instance_id uuid, channel text, chat_id uuid,
            identity_id uuid, kind text, external_id text, external_key text, content jsonb, text text, status text, status_reason text,
            access jsonb, sender_name text, platform_user_id text, from_me boolean, facts jsonb, reply_to uuid, reply_to_external text,
            seq bigint, sent_at timestamptz, received_at timestamptz, traceparent text, data jsonb, event_type text)
    ), stored AS (
        INSERT INTO messages AS m (id, tenant_id, instance_id, channel, chat_id, person_id, identity_id, direction, kind,
                              external_id, external_key, content, text, status, status_reason, access_decision, access_reason,
                              sender_name, sender_platform_id, from_me, facts, reply_to, reply_to_external, seq, sent_at, correlation_id, traceparent)
        SELECT r.message_id, r.tenant_id, r.instance_id, r.channel, r.chat_id, i.person_id, r.identity_id,
               CASE WHEN r.from_me THEN 'outbound' ELSE 'inbound' END, r.kind, r.external_id, r.external_key, r.content,
               r.text, r.status, r.status_reason, r.access ->> 'decision', coalesce(r.access ->> 'reason', ''), r.sender_name, r.platform_user_id, r.from_me, r.facts, r.reply_to, r.reply_to_external,
               r.seq, r.sent_at, r.message_id, r.traceparent
        FROM r LEFT JOIN identities i ON i.id = r.identity_id
        -- What the account wrote through us comes back as its own message: known by the platform's id.
        WHERE NOT (r.from_me AND EXISTS (SELECT FROM messages o WHERE o.instance_id = r.instance_id
                                           AND o.direction = 'outbound' AND o.external_id = r.external_id AND o.external_id <> ''))
        ORDER BY r.chat_id, r.seq
        ON CONFLICT (id) DO UPDATE SET
            -- An edit or delete came first and left a stub: keep what it said, take the rest.
            person_id = excluded.person_id, identity_id = excluded.identity_id, external_id = excluded.external_id,
            external_key = excluded.external_key, sender_name = excluded.sender_name,
            sender_platform_id = excluded.sender_platform_id, facts = excluded.facts, reply_to = excluded.reply_to,
            reply_to_external = excluded.reply_to_external, seq = excluded.seq, sent_at = excluded.sent_at,
            traceparent = excluded.traceparent, kind = excluded.kind, direction = excluded.direction, from_me = excluded.from_me,
            status = CASE WHEN m.deleted_at IS NULL THEN excluded.status ELSE 'ignored' END,
            status_reason = excluded.status_reason, access_decision = excluded.access_decision, access_reason = excluded.access_reason
            WHERE m.kind = 'stub'
        RETURNING id, person_id
    ), said AS (
        INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, traceparent, data)
        SELECT uuid_v7(), r.tenant_id, e.type, e.subject, r.instance_id, r.channel, r.chat_id, s.person_id, r.message_id, r.traceparent, e.data
        FROM stored s JOIN r ON r.message_id = s.id
        CROSS JOIN LATERAL (VALUES
            (1, r.event_type, r.message_id::text,
             r.data || jsonb_build_object('personId', s.person_id) || step_data('ingest.Record', r.received_at, 1)),
            (2, 'identity.resolved', coalesce(s.person_id::text, ''),
             jsonb_build_object('messageId', r.message_id, 'chatId', r.chat_id, 'instanceId', r.instance_id, 'personId', s.person_id,
                                'identityId', r.identity_id) || step_data('identity.Resolve', began, 1)),
            (3, 'access.checked', r.message_id::text,
             jsonb_build_object('messageId', r.message_id, 'chatId', r.chat_id, 'instanceId', r.instance_id, 'personId', s.person_id,
                                'decision', r.access ->> 'decision', 'ruleId', NULL, 'reason', r.access ->> 'reason',
                                'mode', r.access ->> 'mode') || step_data('access.Check', began, 1))
        ) AS e(n, type, subject, data)
        WHERE e.n = 1 OR e.n = 2 AND NOT r.from_me OR e.n = 3 AND r.access IS NOT NULL
        ORDER BY r.seq, e.n
    )
    SELECT s.id, s.person_id FROM stored s;
END $$;
-- +goose StatementEnd

-- An edit or delete changes its target, or leaves a stub for it. p has
-- event_id, tenant_id, instance_id, channel, chat_id, target_id, delete,
-- content, text, at, traceparent, and the chat's fields. False: applied before.
-- +goose StatementBegin
CREATE FUNCTION record_amendment(p jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    r record;
    m messages;
BEGIN
    SELECT * INTO r FROM jsonb_to_record(p) AS x(event_id uuid, tenant_id text, instance_id uuid, channel text,
        chat_id uuid, chat_external_id text, chat_type text, chat_name text, target_id uuid, target_external_id text,
        delete boolean, content jsonb, text text, at timestamptz, traceparent text);
    INSERT INTO applied_events (id, tenant_id) VALUES (r.event_id, r.tenant_id) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO chats (id, tenant_id, instance_id, channel, external_id, type, name)
    VALUES (r.chat_id, r.tenant_id, r.instance_id, r.channel, r.chat_external_id, r.chat_type, r.chat_name)
    ON CONFLICT (id) DO NOTHING;
    -- A turn that is closing reads the batch under this lock.
    PERFORM FROM chats WHERE id = r.chat_id FOR NO KEY UPDATE;
    INSERT INTO messages AS t (id, tenant_id, instance_id, channel, chat_id, direction, kind, external_id, content, text,
                               status, edited_at, deleted_at, correlation_id)
    VALUES (r.target_id, r.tenant_id, r.instance_id, r.channel, r.chat_id, 'inbound', 'stub', r.target_external_id,
            coalesce(r.content, '{}'), coalesce(r.text, ''), 'ignored', CASE WHEN NOT r.delete THEN r.at END,
            CASE WHEN r.delete THEN r.at END, r.target_id)
    ON CONFLICT (id) DO UPDATE SET
        content    = CASE WHEN r.delete THEN t.content ELSE excluded.content END,
        text       = CASE WHEN r.delete THEN t.text ELSE excluded.text END,
        edited_at  = coalesce(excluded.edited_at, t.edited_at),
        deleted_at = coalesce(excluded.deleted_at, t.deleted_at),
        updated_at = clock_timestamp()
        -- Two edits out of order: the later one stands.
        WHERE r.delete OR t.edited_at IS NULL OR t.edited_at <= r.at
    RETURNING * INTO m;
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, causation_id,
                        traceparent, data)
    VALUES (uuid_v7(), r.tenant_id, CASE WHEN r.delete THEN 'message.deleted' ELSE 'message.edited' END, r.target_id::text,
            r.instance_id, r.channel, r.chat_id, m.person_id, r.target_id, r.event_id, r.traceparent,
            jsonb_strip_nulls(jsonb_build_object('messageId', r.target_id, 'eventId', r.event_id, 'chatId', r.chat_id,
                'instanceId', r.instance_id, 'externalId', r.target_external_id, 'content', r.content)));
    RETURN true;
END $$;
-- +goose StatementEnd

-- A platform's receipt moves an outbound message on: sent, delivered, read,
-- never back. False: nothing of ours, or applied before.
-- +goose StatementBegin
CREATE FUNCTION record_receipt(p_tenant text, p_instance uuid, p_external text, p_status text, p_traceparent text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    m messages;
BEGIN
    UPDATE messages SET status = p_status, updated_at = clock_timestamp(), sent_at = coalesce(sent_at, clock_timestamp())
    WHERE instance_id = p_instance AND direction = 'outbound' AND external_id = p_external AND external_id <> ''
      AND array_position(ARRAY['unknown', 'sending', 'sent', 'delivered', 'read'], status)
        < array_position(ARRAY['unknown', 'sending', 'sent', 'delivered', 'read'], p_status)
      AND NOT (status = 'sending' AND shown IS NOT NULL) -- it is still being written: its first text arrived
    RETURNING * INTO m;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, traceparent, data)
    VALUES (uuid_v7(), p_tenant, 'message.' || p_status, m.id::text, m.instance_id, m.channel, m.chat_id, m.person_id,
            m.correlation_id, p_traceparent,
            jsonb_build_object('messageId', m.id, 'chatId', m.chat_id, 'instanceId', m.instance_id, 'direction', 'outbound',
                               'externalId', m.external_id, 'turnId', m.turn_id));
    RETURN true;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION record_receipt(text, uuid, text, text, text), record_amendment(jsonb), record_messages(jsonb),
    step_data(text, timestamptz, int);
DROP TABLE applied_events;
