package omni

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSchedule(t *testing.T) {
	t.Parallel()
	work := Schedule{TimeZone: "America/Sao_Paulo", Days: []string{"mon", "fri"}, From: "09:00", To: "18:00"}
	night := Schedule{TimeZone: "Europe/Berlin", Days: []string{"fri"}, From: "22:00", To: "06:00"}
	berlin := Schedule{TimeZone: "Europe/Berlin", From: "02:15", To: "02:45"}
	for _, c := range []struct {
		name string
		s    Schedule
		at   string
		want bool
	}{
		{"a Monday, at the first minute", work, "2026-11-23T09:00:00-03:00", true},
		{"just before", work, "2026-11-23T08:59:59.999-03:00", false},
		{"the last moment", work, "2026-11-23T17:59:59.999-03:00", true},
		{"the end is exclusive", work, "2026-11-23T18:00:00-03:00", false},
		{"the same moment, said elsewhere", work, "2026-11-23T12:00:00Z", true},
		{"a Tuesday", work, "2026-11-24T12:00:00-03:00", false},
		{"Friday here, Saturday in UTC", Schedule{TimeZone: "America/Sao_Paulo", Days: []string{"fri"}}, "2026-11-28T02:00:00Z", true},
		{"Friday night", night, "2026-11-27T23:00:00+01:00", true},
		{"what began on Friday goes on", night, "2026-11-28T05:59:00+01:00", true},
		{"until it ends", night, "2026-11-28T06:00:00+01:00", false},
		{"Saturday night begins nothing", night, "2026-11-28T22:30:00+01:00", false},
		{"nor did Thursday night", night, "2026-11-27T05:00:00+01:00", false},
		{"midnight belongs to the window", night, "2026-11-28T00:00:00+01:00", true},
		{"the whole day", Schedule{From: "00:00", To: "24:00"}, "2026-11-28T23:59:59Z", true},
		{"days only", Schedule{Days: []string{"sat"}}, "2026-11-28T00:00:00Z", true},
		{"days only, another", Schedule{Days: []string{"sat"}}, "2026-11-29T00:00:00Z", false},
		{"until the end of the day", Schedule{From: "22:00", To: "24:00"}, "2026-11-28T23:59:59Z", true},
		{"not after", Schedule{From: "22:00", To: "24:00"}, "2026-11-29T00:00:00Z", false},
		// 2026-03-29, 02:00 CET: the clock is put forward to 03:00.
		{"before the time that does not come", berlin, "2026-03-29T01:59:00+01:00", false},
		{"after it", berlin, "2026-03-29T03:00:00+02:00", false},
		{"on the day before", berlin, "2026-03-28T02:30:00+01:00", true},
		// 2026-10-25, 03:00 CEST: back to 02:00.
		{"the first half past two", berlin, "2026-10-25T02:30:00+02:00", true},
		{"the second", berlin, "2026-10-25T02:30:00+01:00", true},
		{"summer", work, "2026-07-03T12:30:00Z", true},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		require.NoError(t, err)
		got, err := c.s.Contains(at)
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, got, c.name)
	}
	for _, s := range []Schedule{{TimeZone: "Mars/Base"}, {TimeZone: "Local"}, {TimeZone: "../etc"}, {From: "9", To: "10:00"}, {From: "09:00"},
		{From: "09:00", To: "25:00"}, {From: "09:60", To: "10:00"}, {From: "9:00", To: "10:00"}} {
		_, err := s.Contains(time.Now())
		require.Error(t, err, s)
	}
}

// At every moment either the window or the one that it leaves is open.
func FuzzScheduleAndItsRest(f *testing.F) {
	f.Add(int64(1_700_000_000), 540, 1080, "Europe/Berlin")
	f.Add(int64(1_774_746_000), 1320, 360, "America/Sao_Paulo")
	f.Fuzz(func(t *testing.T, unix int64, from, to int, zone string) {
		if from < 0 || to < 0 || from >= minutesOfDay || to >= minutesOfDay || from == to || unix < -1<<40 || unix > 1<<40 {
			return
		}
		clock := func(m int) string { return time.Date(2000, 1, 1, 0, m, 0, 0, time.UTC).Format("15:04") }
		s := Schedule{TimeZone: zone, From: clock(from), To: clock(to)}
		if _, err := s.Zone(); err != nil {
			return
		}
		rest := Schedule{TimeZone: zone, From: s.To, To: s.From}
		a, err := s.Contains(time.Unix(unix, 0))
		require.NoError(t, err)
		b, err := rest.Contains(time.Unix(unix, 0))
		require.NoError(t, err)
		require.NotEqual(t, a, b)
	})
}
