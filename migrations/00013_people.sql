-- +goose Up

-- Finding people: by any part of a name, username, phone, e-mail or platform
-- id, without regard to case, accents and how a phone number is written.

-- The extension is part of Postgres (contrib) and trusted: whoever may create
-- objects in the database may create it. Where that is not so, somebody who may
-- does it once, before: see store.Migrate for what is said then.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- Letters as they are searched: small, without accents, and ASCII only. What is
-- none by then is written as its code: trigrams know ASCII in every locale, and
-- a database without one does not know what a small letter is.
-- +goose StatementBegin
CREATE FUNCTION person_fold_wide(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    x text := regexp_replace(normalize(t, NFKD), '[\u0300-\u036f]', '', 'g');
BEGIN
    x := replace(replace(replace(translate(lower(x),
        'ØøŁłĐđıÆŒАБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЄІЂЉЊЋЏΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩς',
        'oollddiæœабвгдежзиклмнопрстуфхцчшщъыьэюяєіђљњћџαβγδεζηθικλμνξοπρστυφχψωσ'), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe');
    IF octet_length(x) = char_length(x) THEN
        RETURN x;
    END IF;
    RETURN (SELECT string_agg(CASE WHEN octet_length(c) = 1 THEN c ELSE 'z' || to_hex(ascii(c)) END, '' ORDER BY n)
            FROM regexp_split_to_table(x, '') WITH ORDINALITY AS s(c, n));
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION person_fold(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN octet_length(t) = char_length(t) THEN lower(t) ELSE person_fold_wide(t) END
$$;
-- +goose StatementEnd

-- All fields in one text, each between blanks on a line of its own: so one
-- pattern asks for a whole field, its beginning, the beginning of a word, or
-- any part.
-- +goose StatementBegin
CREATE FUNCTION person_terms(name text, username text, phone text, email text, account text)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF phone <> '' THEN
        phone := regexp_replace(phone, '[^0-9]', '', 'g');
    END IF;
    name := translate(E'\r ' || name || E' \r ' || username || E' \r ' || phone || E' \r ' || email || E' \r ' || account || E' \r',
        E'\n\t\r', E'  \n');
    IF octet_length(name) = char_length(name) THEN
        RETURN lower(name);
    END IF;
    RETURN person_fold_wide(name);
END $$;
-- +goose StatementEnd

ALTER TABLE persons ADD COLUMN search text NOT NULL
    GENERATED ALWAYS AS (person_terms(display_name, '', phone, email, '')) STORED;
ALTER TABLE identities ADD COLUMN search text NOT NULL
    GENERATED ALWAYS AS (person_terms(name, username, phone, email, platform_user_id)) STORED;

-- What was added last is looked through row by row, and sorted in when there is
-- this much (kB) of it: often, and quickly. The extension may be in any schema.
-- +goose StatementBegin
DO $$
DECLARE
    home text := (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm');
BEGIN
    EXECUTE format('CREATE INDEX persons_search ON persons USING gin (search %I.gin_trgm_ops) WITH (gin_pending_list_limit = 256)', home);
    EXECUTE format('CREATE INDEX identities_search ON identities USING gin (search %I.gin_trgm_ops) WITH (gin_pending_list_limit = 256)', home);
END $$;
-- +goose StatementEnd
-- (A name may be longer than a key of an index.)
CREATE INDEX persons_name   ON persons (tenant_id, left(person_fold(display_name), 64), created_at DESC, id DESC);
CREATE INDEX persons_recent ON persons (tenant_id, created_at DESC, id DESC);

-- A person's timeline: messages_person has what is theirs by account; the others
-- are in the chat with them and nobody's, sent before it was known whose it is.
CREATE INDEX chats_person     ON chats (person_id) WHERE person_id IS NOT NULL;
CREATE INDEX messages_nobodys ON messages (chat_id, created_at DESC, id DESC) WHERE person_id IS NULL;

-- +goose Down
DROP INDEX messages_nobodys, chats_person, persons_recent, persons_name, identities_search, persons_search;
ALTER TABLE identities DROP COLUMN search;
ALTER TABLE persons DROP COLUMN search;
DROP FUNCTION person_terms(text, text, text, text, text), person_fold(text), person_fold_wide(text);
