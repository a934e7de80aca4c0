package custom

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/custom/customtest"
)

// The vector of the Standard Webhooks reference libraries.
func TestSignReferenceVector(t *testing.T) {
	t.Parallel()
	key, err := parseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)))
}

func TestVerify(t *testing.T) {
	t.Parallel()
	secret, other := customtest.NewSecret(), customtest.NewSecret()
	key, err := parseSecret(secret)
	require.NoError(t, err)
	now := time.Unix(1_800_000_000, 0)
	body := []byte(`{"id":"x"}`)
	good := customtest.Sign(secret, "m1", now, body)

	tests := []struct {
		name   string
		change func(h http.Header)
		ok     bool
	}{
		{"as signed", func(http.Header) {}, true},
		{"one of several", func(h http.Header) {
			h.Set("webhook-signature", "v1a,zzz "+customtest.Sign(other, "m1", now, body)+"  "+good+" v1,?")
		}, true},
		{"another secret", func(h http.Header) { h.Set("webhook-signature", customtest.Sign(other, "m1", now, body)) }, false},
		{"another id", func(h http.Header) { h.Set("webhook-id", "m2") }, false},
		{"another time", func(h http.Header) { h.Set("webhook-timestamp", strconv.FormatInt(now.Unix()+1, 10)) }, false},
		{"another body", func(h http.Header) {
			h.Set("webhook-signature", customtest.Sign(secret, "m1", now, []byte(`{"id":"y"}`)))
		}, false},
		{"unknown version", func(h http.Header) { h.Set("webhook-signature", "v2"+good[2:]) }, false},
		{"no version", func(h http.Header) { h.Set("webhook-signature", good[3:]) }, false},
		{"no signature", func(h http.Header) { h.Del("webhook-signature") }, false},
		{"no id", func(h http.Header) { h.Del("webhook-id") }, false},
		{"no time", func(h http.Header) { h.Del("webhook-timestamp") }, false},
		{"time in words", func(h http.Header) { h.Set("webhook-timestamp", "now") }, false},
		{"time beyond int64", func(h http.Header) { h.Set("webhook-timestamp", "99999999999999999999") }, false},
		{"time at the end of int64", func(h http.Header) { h.Set("webhook-timestamp", "9223372036854775807") }, false},
		{"time before all times", func(h http.Header) { h.Set("webhook-timestamp", "-9223372036854775808") }, false},
	}
	for _, tt := range tests {
		h := customtest.Header(secret, "m1", now, body)
		tt.change(h)
		err := verify(key, h, body, now)
		require.Equal(t, tt.ok, err == nil, "%s: %v", tt.name, err)
	}
	for offset, ok := range map[time.Duration]bool{-5 * time.Minute: true, 5 * time.Minute: true,
		-5*time.Minute - time.Second: false, 5*time.Minute + time.Second: false} {
		err := verify(key, customtest.Header(secret, "m1", now, body), body, now.Add(offset))
		require.Equal(t, ok, err == nil, "%s: %v", offset, err)
	}
}

func TestParseSecret(t *testing.T) {
	t.Parallel()
	for range 20 {
		_, err := parseSecret(customtest.NewSecret())
		require.NoError(t, err)
	}
	_, err := parseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjUPD8ILA") // unpadded
	require.NoError(t, err)
}
