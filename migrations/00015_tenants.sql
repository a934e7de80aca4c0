-- +goose Up

-- Who shares this hub. A tenant's name is the tenant_id of everything it has;
-- it stands in subjects and workflow ids too, hence its form. Tenants are made
-- with their first key and never renamed.
CREATE TABLE tenants (
    id         uuid PRIMARY KEY DEFAULT uuid_v7(), -- its place in lists
    name       text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO tenants (name) VALUES ('default');

-- What was done with each key: the requests that could change something,
-- refused ones too. Written in batches behind the requests, so without foreign
-- keys, and kept within bounds (TrimKeyAudit).
CREATE TABLE key_audit (
    id         uuid PRIMARY KEY,
    tenant_id  text NOT NULL,
    key_id     uuid NOT NULL,
    method     text NOT NULL,
    route      text NOT NULL,       -- /api/v1/chats/{id}/takeover
    path       text NOT NULL,       -- as it was called, without its query
    status     int NOT NULL,
    request_id text NOT NULL,
    address    text NOT NULL,       -- who called
    created_at timestamptz NOT NULL
);
CREATE INDEX key_audit_recent ON key_audit (key_id, created_at DESC, id DESC);
CREATE INDEX key_audit_age ON key_audit (created_at);

-- +goose Down
DROP TABLE key_audit, tenants;
