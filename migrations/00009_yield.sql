-- +goose Up

-- Interrupting: a turn that answers gives its batch to the one that collects.

ALTER TABLE messages ADD COLUMN yields int NOT NULL DEFAULT 0; -- times that it was handed to another turn
ALTER TABLE turns ADD COLUMN yielded_to uuid;                  -- the turn that answers its messages now
CREATE INDEX turns_yielded ON turns (yielded_to) WHERE yielded_to IS NOT NULL;

-- Whether an answering turn may still be interrupted for one that collects:
-- the same conversation, its last part not claimed (what would be left to
-- stop?), and no message of it handed on three times already: somebody who
-- never stops writing is answered all the same. The chat is locked.
-- +goose StatementBegin
CREATE FUNCTION turn_yields(o turns, t turns) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN coalesce(o.state = 'answering' AND o.chat_id = t.chat_id AND o.session_key = t.session_key AND o.agent = t.agent, false)
        AND (o.part_count IS NULL OR EXISTS (SELECT FROM messages WHERE turn_id = o.id AND direction = 'outbound'
                                             AND part_index = o.part_count - 1 AND status = 'queued' AND NOT doubtful))
        AND NOT EXISTS (SELECT FROM messages WHERE turn_id = o.id AND direction = 'inbound' AND yields >= 3);
END $$;
-- +goose StatementEnd

-- turn.Join where the instance interrupts: beside what turn_join says, the
-- turn to interrupt. It is worked out anew at each call, because nobody else
-- would remember it for a leader that runs again.
-- +goose StatementBegin
CREATE FUNCTION turn_join_interrupting(p_chat uuid, p_message uuid, p_session text, p_agent text, p_workflow text, p_turn uuid,
    p_refuse text, p_quiet interval, p_cap interval, p_media boolean, p_close boolean, p_provider text,
    p_answer_within interval, p_media_within interval, p_started timestamptz, p_attempt int)
RETURNS turn_view LANGUAGE plpgsql AS $$
DECLARE
    v turn_view := turn_join(p_chat, p_message, p_session, p_agent, p_workflow, p_turn, p_refuse, p_quiet, p_cap, p_media, p_close,
                             p_provider, p_answer_within, p_media_within, p_started, p_attempt);
    t turns;
    o turns;
BEGIN
    IF v.state IN ('leader', 'wait', 'behind') THEN
        SELECT * INTO STRICT t FROM turns WHERE id = v.turn_id;
        SELECT * INTO o FROM turns WHERE chat_id = p_chat AND state = 'answering';
        IF turn_yields(o, t) THEN
            v.interrupt := o.id;
        END IF;
    END IF;
    RETURN v;
END $$;
-- +goose StatementEnd

-- turn.Yield, by the leader of the turn that collects: takes the batch of the
-- one that answers, if that may still be interrupted, and then closes like
-- turn.Close. interrupt in what it returns is the turn whose call is to be
-- cut: also where an earlier run of this call has interrupted it.
-- +goose StatementBegin
CREATE FUNCTION turn_yield(p_chat uuid, p_turn uuid, p_workflow text, p_epoch int, p_from uuid, p_provider text,
    p_answer_within interval, p_media_within interval, p_started timestamptz, p_attempt int)
RETURNS turn_view LANGUAGE plpgsql AS $$
DECLARE
    t turns;
    o turns;
    v turn_view;
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    SELECT * INTO STRICT t FROM turns WHERE id = p_turn;
    SELECT * INTO o FROM turns WHERE id = p_from;
    IF t.workflow_id <> p_workflow OR t.epoch <> p_epoch OR t.state <> 'collecting' THEN
        v := turn_seen_by(t, p_workflow);
    ELSE
        IF turn_yields(o, t) THEN
            UPDATE messages SET turn_id = t.id, yields = yields + 1, updated_at = clock_timestamp()
            WHERE turn_id = o.id AND direction = 'inbound';
            -- A turn that o had interrupted is this one's past by now.
            UPDATE turns SET yielded_to = t.id WHERE yielded_to = o.id;
            UPDATE turns SET yielded_to = t.id, epoch = epoch + 1 WHERE id = o.id RETURNING * INTO o;
            PERFORM turn_finish_locked(o, 'interrupted', '', 'turn.Yield', p_started, p_attempt);
        END IF;
        v := turn_close_locked(t, p_provider, p_answer_within, p_media_within, 'turn.Yield', p_started, p_attempt);
    END IF;
    IF o.yielded_to = t.id THEN
        v.interrupt := o.id;
    END IF;
    RETURN v;
END $$;
-- +goose StatementEnd

-- The operator's own words.

CREATE INDEX chats_pause_ends ON chats (paused_until) WHERE paused AND paused_until IS NOT NULL;

-- Ends the takeovers whose time is over, also where nobody writes any more.
-- Returns how many; a chat that is being decided about waits for the next call.
-- +goose StatementBegin
CREATE FUNCTION chats_resume_due(p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    chat uuid;
    n    int := 0;
BEGIN
    FOR chat IN SELECT id FROM chats WHERE paused AND paused_until <= now()
                ORDER BY paused_until LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED LOOP
        PERFORM chat_resume(chat, 'the time is over', '');
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;
-- +goose StatementEnd

-- What the account itself is said to have written. p is a message as
-- record_messages takes it, p_client the id under which one of our own sends
-- would be known, if it looks like one. States:
--   ours      one of our sends, come back: nothing is recorded
--   known     recorded before
--   wait      a send of the chat is under way and may be this: ask again
--   recorded  the operator wrote it, and with p_takeover > 0 has the chat now
-- turns are those that were cancelled.
-- +goose StatementBegin
CREATE FUNCTION own_message(p jsonb, p_client uuid, p_takeover interval, p_wait interval, OUT state text, OUT turns uuid[])
LANGUAGE plpgsql AS $$
DECLARE
    r    record;
    c    chats;
    mine uuid;
    now_ timestamptz;
    till timestamptz;
BEGIN
    turns := '{}';
    SELECT * INTO r FROM jsonb_to_record(p) AS x(message_id uuid, tenant_id text, instance_id uuid, chat_id uuid, external_id text,
        text text, sender_name text, platform_user_id text, received_at timestamptz, facts jsonb, traceparent text);
    SELECT * INTO c FROM chats WHERE id = r.chat_id FOR NO KEY UPDATE;
    now_ := clock_timestamp();
    IF EXISTS (SELECT FROM messages WHERE id = r.message_id AND kind <> 'stub') THEN
        state := 'known';
        RETURN;
    END IF;
    state := 'ours';
    IF EXISTS (SELECT FROM messages WHERE instance_id = r.instance_id AND direction = 'outbound' AND external_id = r.external_id
                                      AND external_id <> '')
       OR EXISTS (SELECT FROM messages WHERE id = p_client AND instance_id = r.instance_id AND direction = 'outbound' AND NOT from_me) THEN
        RETURN;
    END IF;
    -- The receipt of a part under way will say what the platform calls it.
    IF now_ < r.received_at + p_wait
       AND EXISTS (SELECT FROM messages WHERE chat_id = r.chat_id AND direction = 'outbound' AND status = 'sending' AND external_id = ''
                     AND (created_at > now_ - interval '1 day' OR send_at > now_ - interval '1 day')) THEN
        state := 'wait';
        RETURN;
    END IF;
    -- Its receipt was lost: its own words are one.
    SELECT id INTO mine FROM messages
    WHERE chat_id = r.chat_id AND direction = 'outbound' AND status IN ('sending', 'unknown') AND external_id = '' AND text = r.text
      AND r.text <> '' AND updated_at > now_ - interval '10 minutes' AND created_at > now_ - interval '1 day'
    ORDER BY created_at DESC, part_index LIMIT 1;
    IF FOUND THEN
        UPDATE messages SET external_id = r.external_id WHERE id = mine;
        PERFORM record_receipt(r.tenant_id, r.instance_id, r.external_id, 'sent', r.traceparent);
        RETURN;
    END IF;
    PERFORM FROM record_messages(jsonb_build_array(p));
    state := 'recorded';
    till := r.received_at + p_takeover;
    IF p_takeover > interval '0' AND till > now_ AND NOT coalesce((r.facts ->> 'backfill')::boolean, false) THEN
        IF c.paused AND (c.paused_until IS NULL OR c.paused_until > till) THEN
            till := c.paused_until; -- a takeover that lasts longer is not cut short
        END IF;
        turns := chat_takeover(r.chat_id, till, 'own message', coalesce(nullif(r.sender_name, ''), nullif(r.platform_user_id, ''), 'operator'),
                               r.message_id);
    END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION own_message(jsonb, uuid, interval, interval), chats_resume_due(int);
DROP INDEX chats_pause_ends;
DROP FUNCTION turn_yield(uuid, uuid, text, int, uuid, text, interval, interval, timestamptz, int),
    turn_join_interrupting(uuid, uuid, text, text, text, uuid, text, interval, interval, boolean, boolean, text, interval, interval,
        timestamptz, int),
    turn_yields(turns, turns);
ALTER TABLE turns DROP COLUMN yielded_to;
ALTER TABLE messages DROP COLUMN yields;
