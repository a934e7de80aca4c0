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
-- What waits for word of an earlier part. (The status changes with every step, so
-- this costs no update that would otherwise touch no index.)
CREATE INDEX messages_withheld ON messages (updated_at) WHERE status = 'cancelled' AND direction = 'outbound' AND turn_id IS NULL;

-- Lets the parts that were withheld go on, from m itself or behind it; where
-- another one is still in their way, their claims say so again. Their age
-- counts from now. The chat is locked. False: there are none.
-- +goose StatementBegin
CREATE FUNCTION outbound_release(m messages) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE messages SET status = 'queued', status_reason = '', send_at = clock_timestamp(), updated_at = clock_timestamp()
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
                  WHERE w.status = 'cancelled' AND w.direction = 'outbound' AND w.turn_id IS NULL
                    AND w.updated_at > clock_timestamp() - interval '1 day' AND w.status_reason = withheld_reason()
                    AND NOT part_blocked(w)
                  ORDER BY w.updated_at LIMIT p_limit LOOP
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

-- +goose Down
DROP FUNCTION outbound_release_due(int), outbound_resume(messages), outbound_release(messages);
DROP INDEX messages_withheld;
DROP TABLE outbound_resumptions;
