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
                                             AND part_index = o.part_count - 1 AND status = 'queued'))
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

-- +goose Down
DROP FUNCTION turn_yield(uuid, uuid, text, int, uuid, text, interval, interval, timestamptz, int),
    turn_join_interrupting(uuid, uuid, text, text, text, uuid, text, interval, interval, boolean, boolean, text, interval, interval,
        timestamptz, int),
    turn_yields(turns, turns);
ALTER TABLE turns DROP COLUMN yielded_to;
ALTER TABLE messages DROP COLUMN yields;
