-- +goose Up

-- While an agent is asked for a follow-up: whether its call is still wanted.
-- What broke the silence (a message of any kind, the operator, a takeover) ends
-- the turn here, so that nobody goes on to pay for words that will not be sent.
-- Looked at without the chat's lock first: nearly always nothing has happened.
-- False: the turn is no longer the caller's to answer.
-- +goose StatementBegin
CREATE FUNCTION follow_up_stands(p_chat uuid, p_turn uuid, p_workflow text, p_epoch int, p_started timestamptz, p_attempt int)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    f follow_ups;
    t turns;
BEGIN
    SELECT * INTO STRICT t FROM turns WHERE id = p_turn;
    IF t.state <> 'answering' OR t.workflow_id <> p_workflow OR t.epoch <> p_epoch THEN
        RETURN false;
    END IF;
    SELECT * INTO f FROM follow_ups WHERE own_turn = p_turn;
    IF f.turn_id IS NULL OR follow_up_refusal(f) IS NULL THEN
        RETURN true;
    END IF;
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    SELECT * INTO STRICT t FROM turns WHERE id = p_turn;
    IF t.state <> 'answering' OR t.workflow_id <> p_workflow OR t.epoch <> p_epoch THEN
        RETURN false;
    ELSIF EXISTS (SELECT FROM messages WHERE turn_id = p_turn AND direction = 'outbound' AND status <> 'queued') THEN
        RETURN true; -- some of it has left: the delivery goes on with the rest
    END IF;
    RETURN NOT follow_up_withdrawn(t, 'agent.Reply', p_started, p_attempt);
END $$;
-- +goose StatementEnd

-- What a trace asks for.
CREATE INDEX dead_letters_message ON dead_letters (message_id) WHERE turn_id IS NULL;

-- +goose Down
DROP INDEX dead_letters_message;
DROP FUNCTION follow_up_stands(uuid, uuid, text, int, timestamptz, int);
