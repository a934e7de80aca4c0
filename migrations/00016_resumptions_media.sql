-- +goose Up

-- A message sent by API goes on after somebody said what became of a part of
-- it: each time with a workflow of its own, which this names.
CREATE TABLE outbound_resumptions (
    id         uuid PRIMARY KEY,
    tenant_id  text NOT NULL,
    message_id uuid NOT NULL, -- the first part
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz    -- NULL: its workflow is not known to exist
);
CREATE INDEX outbound_resumptions_message ON outbound_resumptions (message_id);
CREATE INDEX outbound_resumptions_unstarted ON outbound_resumptions (created_at) WHERE started_at IS NULL;
-- What waits for word of an earlier part.
CREATE INDEX messages_withheld ON messages (withheld_at) WHERE withheld_at IS NOT NULL;

-- Lets the parts that were withheld go on, from m itself or behind it; where
-- another one is still in their way, their claims say so again. Their age
-- counts from now. The chat is locked. False: there are none.
-- +goose StatementBegin
CREATE FUNCTION outbound_release(m messages) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE messages SET status = 'queued', status_reason = '', withheld_at = NULL, send_at = clock_timestamp(), updated_at = clock_timestamp()
    WHERE id IN (SELECT m.id UNION ALL SELECT b.id FROM outbound_behind(m) b)
      AND status = 'cancelled' AND status_reason = withheld_reason();
    RETURN FOUND;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION outbound_resume(m messages) RETURNS uuid LANGUAGE sql AS $$
    INSERT INTO outbound_resumptions (id, tenant_id, message_id) VALUES (uuid_v7(), m.tenant_id, m.correlation_id) RETURNING id
$$;
-- +goose StatementEnd

-- Releases what was withheld for want of knowing, where a platform's receipt
-- has said since that the earlier part arrived. Returns how many messages.
-- +goose StatementBegin
CREATE FUNCTION outbound_release_due(p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    found_ messages;
    m      messages;
    n      int := 0;
BEGIN
    FOR found_ IN SELECT * FROM messages w
                  WHERE w.withheld_at > now() - interval '1 day' AND w.status = 'cancelled' AND w.status_reason = withheld_reason()
                    AND NOT part_blocked(w)
                  ORDER BY w.withheld_at LIMIT p_limit LOOP
        PERFORM FROM chats WHERE id = found_.chat_id FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND; -- the next call comes to it
        SELECT * INTO m FROM messages WHERE id = found_.id;
        IF m.status = 'cancelled' AND NOT outbound_under_way(m) AND NOT part_blocked(m) AND outbound_release(m) THEN
            PERFORM outbound_resume(m);
            n := n + 1;
        END IF;
    END LOOP;
    RETURN n;
END $$;
-- +goose StatementEnd

-- The attachments of inbound messages that were fetched, or will not be. Their
-- bytes are kept elsewhere, under the id.
CREATE TABLE media (
    id          uuid PRIMARY KEY,  -- derived from the message and the place in it
    tenant_id   text NOT NULL,
    instance_id uuid NOT NULL,
    channel     text NOT NULL,
    chat_id     uuid NOT NULL,
    message_id  uuid NOT NULL,
    idx         int NOT NULL,
    type        text NOT NULL,
    mime_type   text NOT NULL,
    filename    text NOT NULL,
    size        bigint NOT NULL DEFAULT 0,
    sha256      text NOT NULL DEFAULT '',
    state       text NOT NULL,     -- received failed
    reason      text NOT NULL DEFAULT '',
    error       text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX media_message ON media (message_id);

-- What became of an attachment, once: the first word stands. p_from is where it
-- was fetched from, an address or else the channel's handle: a message that was
-- edited meanwhile has others. False:
-- there is a word, or no such message.
-- +goose StatementBegin
CREATE FUNCTION media_record(p_id uuid, p_message uuid, p_idx int, p_from text, p_type text, p_mime text, p_filename text, p_size bigint,
    p_sha256 text, p_state text, p_reason text, p_error text, p_started timestamptz, p_attempt int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    m messages;
BEGIN
    SELECT * INTO m FROM messages WHERE id = p_message AND direction = 'inbound' FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO media (id, tenant_id, instance_id, channel, chat_id, message_id, idx, type, mime_type, filename, size, sha256, state, reason, error)
    VALUES (p_id, m.tenant_id, m.instance_id, m.channel, m.chat_id, m.id, p_idx, p_type, p_mime, p_filename, p_size, p_sha256, p_state,
            p_reason, p_error)
    ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF p_state = 'received' AND coalesce(nullif(m.content #>> ARRAY['media', p_idx::text, 'url'], ''), m.content #>> ARRAY['media', p_idx::text, 'ref']) = p_from THEN
        UPDATE messages SET updated_at = clock_timestamp(),
            content = jsonb_set(content, ARRAY['media', p_idx::text], (content #> ARRAY['media', p_idx::text])
                || jsonb_build_object('id', p_id, 'mimeType', p_mime, 'size', p_size))
        WHERE id = p_message;
    END IF;
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, data)
    VALUES (uuid_v7(), m.tenant_id, 'media.' || p_state, p_id::text, m.instance_id, m.channel, m.chat_id, m.person_id, m.id,
            jsonb_strip_nulls(jsonb_build_object('mediaId', p_id, 'messageId', m.id, 'chatId', m.chat_id, 'personId', m.person_id,
                'instanceId', m.instance_id, 'index', p_idx, 'mediaType', p_type, 'mimeType', p_mime, 'filename', nullif(p_filename, ''),
                'size', nullif(p_size, 0), 'sha256', nullif(p_sha256, ''), 'reason', nullif(p_reason, ''), 'error', nullif(p_error, '')))
            || step_data('media.Fetch', p_started, p_attempt));
    RETURN true;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION media_record(uuid, uuid, int, text, text, text, text, bigint, text, text, text, text, timestamptz, int);
DROP TABLE media;
DROP FUNCTION outbound_release_due(int), outbound_resume(messages), outbound_release(messages);
DROP INDEX messages_withheld;
DROP TABLE outbound_resumptions;
