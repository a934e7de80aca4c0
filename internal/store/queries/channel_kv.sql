-- name: GetChannelValue :one
SELECT value FROM channel_kv WHERE instance_id = @instance_id AND key = @key;

-- name: PutChannelValue :exec
INSERT INTO channel_kv (tenant_id, instance_id, key, value) VALUES (@tenant_id, @instance_id, @key, @value)
ON CONFLICT (instance_id, key) DO UPDATE SET value = excluded.value, updated_at = now();

-- name: DeleteChannelValue :exec
DELETE FROM channel_kv WHERE instance_id = @instance_id AND key = @key;
